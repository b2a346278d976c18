"""A CONNECT proxy on loopback for the SDK alone, which connects like the probe.

The SDK tries the addresses of a name one after the other and gives up after 5 s, so with one family that loses packets
it never reaches the other one (livekit 1.2.1, measured).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import hmac
import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from device.errors import UnreachableError
from device.network.address import host_and_port, target_of
from device.network.dial import open_connection
from device.redaction import hide

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from device.network.dial import AddressResolver

_USER = "sdk"
_HEADER = b"proxy-authorization: basic "
_HEAD_S, _CONNECT_S = 2.0, 4.0  # the SDK gives up after 5 s
_CHUNK = 64 << 10
_MAX_CONNECTIONS = 8


@functools.cache
def _password() -> str:
    """Return one password for the process: each that is hidden displaces another secret."""
    password = secrets.token_hex(16)
    hide(password)
    return password


class _Tunnel:
    def __init__(self, url: str, resolver: AddressResolver) -> None:
        self._parts = urlsplit(url)
        self._target = host_and_port(*target_of(self._parts))
        self._resolver = resolver
        self._authorization = base64.b64encode(f"{_USER}:{_password()}".encode())
        self._open = 0

    def url(self, port: int) -> str:
        return f"http://{_USER}:{_password()}@127.0.0.1:{port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                async with asyncio.timeout(_HEAD_S):
                    head = await reader.readuntil(b"\r\n\r\n")
                if status := self._refusal(head):
                    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
                    await writer.drain()
                    return
                await self._connect(reader, writer)
        finally:
            self._open -= 1
            writer.close()

    def _refusal(self, head: bytes) -> str:
        lines = head.split(b"\r\n")
        if not any(self._is_authorization(line) for line in lines[1:]):
            return "407 Proxy Authentication Required"
        if self._open > _MAX_CONNECTIONS:
            return "503 Service Unavailable"
        if lines[0].split(b" ")[:2] != [b"CONNECT", self._target.encode()]:
            return "403 Forbidden"
        return ""

    def _is_authorization(self, line: bytes) -> bool:
        return line.lower().startswith(_HEADER) and hmac.compare_digest(
            line[len(_HEADER) :].strip(), self._authorization
        )

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_CONNECT_S):
                connection = await open_connection(self._parts, self._resolver, within_s=_CONNECT_S)
        except (UnreachableError, TimeoutError):
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        there, back = await asyncio.open_connection(sock=connection.socket)
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            copies = [asyncio.create_task(_copied(*each)) for each in ((reader, back), (there, writer))]
            try:
                await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in copies:
                    each.cancel()
        finally:
            back.close()


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def tunnel(url: str, resolver: AddressResolver) -> AsyncIterator[str]:
    """Run the proxy, which connects only to the server of this URL; yield its own URL, which has a password."""
    made = _Tunnel(url, resolver)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            await made.serve(reader, writer)
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=_CHUNK)
    try:
        yield made.url(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for each in tuple(tasks):
            each.cancel()
