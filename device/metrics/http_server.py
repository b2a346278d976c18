"""Answers Prometheus over HTTP from the daemon's own event loop, so that nothing is read from another thread."""

from __future__ import annotations

import asyncio
import socket
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog

from device.errors import system_text

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger()

PATH = "/metrics"
_MAX_HEAD_BYTES, _MAX_CONNECTIONS = 8 << 10, 8
_HEAD_S, _WRITE_S, _AGAIN_S = 5.0, 5.0, 30.0
_PLAIN = "text/plain; charset=utf-8"


class MetricsServer:
    """Serves `answer`, which returns a content type and a body for an `Accept` header, at `/metrics`."""

    def __init__(self, bind: str, answer: Callable[[str], tuple[str, bytes]]) -> None:
        host, _, port = bind.rpartition(":")
        self._bind, self._host, self._port = bind, host.strip("[]"), int(port)
        self._answer = answer
        self._connections: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until cancelled. A port that is in use is logged, and tried again every 30 s."""
        while True:
            try:
                server = await asyncio.start_server(self._connected, self._host, self._port, limit=_MAX_HEAD_BYTES)
            except OSError as error:
                hint = f"metrics.bind; it is tried again every {_AGAIN_S:.0f} s"
                log.warning("metrics.not_served", address=self._bind, why=_why(error), hint=hint)
                await asyncio.sleep(_AGAIN_S)
                continue
            log.info("metrics.serving", url=f"http://{self._bind}{PATH}")
            try:
                await asyncio.Future()
            finally:
                server.close()
                for each in tuple(self._connections):
                    each.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        try:
            async with asyncio.timeout(_HEAD_S):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            crowded = len(self._connections) > _MAX_CONNECTIONS
            answer = _error(HTTPStatus.SERVICE_UNAVAILABLE, "busy") if crowded else self._respond(head)
            async with asyncio.timeout(_WRITE_S):
                writer.write(answer)
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            writer.transport.abort()  # the peer is slow or says too much, or the daemon ends
        except Exception as error:  # a scrape never affects the device
            log.error("metrics.failed", exc_info=error)  # noqa: TRY400 - one line, redacted
        finally:
            self._connections.discard(task)
            writer.close()

    def _respond(self, head: str) -> bytes:
        request, *lines = head.split("\r\n")
        method, _, rest = request.partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if method not in ("GET", "HEAD"):
            return _error(HTTPStatus.METHOD_NOT_ALLOWED, "only GET")
        if path != PATH:
            return _error(HTTPStatus.NOT_FOUND, f"the metrics are at {PATH}")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
        content_type, body = self._answer(headers.get("accept", ""))
        return _response(HTTPStatus.OK, content_type, body, with_body=method == "GET")


def _why(error: OSError) -> str:
    return "its host has no address" if isinstance(error, socket.gaierror) else system_text(error)


def _error(status: HTTPStatus, text: str) -> bytes:
    return _response(status, _PLAIN, f"{text}\n".encode())


def _response(status: HTTPStatus, content_type: str, body: bytes, *, with_body: bool = True) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (body if with_body else b"")
