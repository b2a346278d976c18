"""Probes whether a LiveKit server answers, with a GET of the room's URL, without a token and without joining."""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from device.errors import UnreachableError
from device.network import tls
from device.network.address import base_of, host_header, request_path
from device.network.answer import Answer, NotHTTPError, problem_of, read_answer
from device.network.dial import DialError, connect, error_text
from device.timeline import TIMELINE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device.network.dial import Connection
    from device.network.resolver import Resolver

# A stopped server, and a proxy in front of one, still accept connections: only a response counts.
LIMIT_S = 1.5
_LINE_BYTES = 16 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """A server that answered a probe, and the server's time in epoch seconds if its response has a Date header.

    `address` is the peer's address, which is the proxy's if there is a proxy. `proxy` is the proxy's host and port.
    `detour`: the SDK alone may not get there (`device.network.tunnel`).
    `seen_at_s` is the monotonic time of the response: a join may follow much later.
    """

    url: str
    address: str
    server_time_s: float | None
    proxy: str = ""
    detour: bool = False
    seen_at_s: float = field(default_factory=time.monotonic)

    def server_now_s(self) -> float | None:
        """Return the server's current time in epoch seconds; None if its response had no time."""
        return None if self.server_time_s is None else self.server_time_s + time.monotonic() - self.seen_at_s


class Probe:
    """Probes servers; each probe opens a new connection."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def probe(self, url: str) -> ProbeResult:
        """Probe one server. Raises UnreachableError, whose text says what is wrong."""
        base = base_of(url)
        # LiveKit answers GET / with "OK". For other paths without a token it logs a warning, so / comes first.
        answer, connection = root, _ = await self._ask(base)
        if not root.is_livekit:
            answer, connection = await self._ask(f"{base}rtc/validate")
            if problem := problem_of(root, answer):
                raise UnreachableError(problem, for_viewers="the server's address does not lead to a LiveKit server")
        return ProbeResult(
            url=url,
            address=connection.address,
            server_time_s=answer.server_time_s,
            proxy=str(connection.proxy) if connection.proxy else "",
            detour=connection.detour,
        )

    async def first(self, urls: Sequence[str]) -> ProbeResult:
        """Return the first server in the list that answers. All are probed in parallel, within one timeout.

        Raises UnreachableError, whose text says what is wrong with each server.
        """
        probes = [asyncio.ensure_future(self.probe(url)) for url in urls]
        try:
            problems = []
            for probe in probes:
                try:
                    found = await probe
                except UnreachableError as error:
                    problems.append(error)
                else:
                    TIMELINE.mark("probe")
                    return found
            public = {error.for_viewers for error in problems}
            raise UnreachableError("; ".join(map(str, problems)), for_viewers=public.pop() if len(public) == 1 else "")
        finally:
            for probe in probes:
                probe.cancel()
            await asyncio.gather(*probes, return_exceptions=True)

    async def _ask(self, url: str) -> tuple[Answer, Connection]:
        try:
            async with asyncio.timeout(LIMIT_S):
                return await self._get(url)
        except TimeoutError:
            raise UnreachableError(f"{url} does not answer within {LIMIT_S:g} s") from None
        except DialError as error:
            raise UnreachableError(f"{url} {error}", for_viewers=error.for_viewers) from None
        except NotHTTPError as error:
            text = "answers in TLS; set room.url to wss://" if error.tls else "answers, but not in HTTP"
            raise UnreachableError(f"{url} {text}") from None
        except asyncio.IncompleteReadError:
            raise UnreachableError(f"{url} closes the connection in mid-answer") from None
        except ssl.SSLError as error:
            raise UnreachableError(f"{url} {tls.error_text(error, host=urlsplit(url).hostname or '')}") from None
        except OSError as error:
            raise UnreachableError(f"{url} cannot be reached: {error_text(error)}") from None

    async def _get(self, url: str) -> tuple[Answer, Connection]:
        """Return the response to one GET.

        It does not use aiohttp, which costs 8 MB and 0.15 s at the start and is not needed with a ready token.
        """
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_LINE_BYTES, loop=loop)
        transport, _, connection = await connect(
            url, self._resolver, lambda: asyncio.StreamReaderProtocol(reader, loop=loop), within_s=LIMIT_S
        )
        try:
            parts = urlsplit(url)
            transport.write(
                f"GET {request_path(parts)} HTTP/1.1\r\nHost: {host_header(parts)}\r\n"
                "User-Agent: livekit-device\r\nAccept: */*\r\nConnection: close\r\n\r\n".encode()
            )
            return await read_answer(reader, url), connection
        finally:
            transport.abort()
