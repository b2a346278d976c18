"""Is the server there? GET of the room's URL answers that, without joining and without a token."""

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
from device.network.answer import Answer, NotHTTPError, judged, read_answer
from device.network.dial import DialError, opened, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device.network.dial import Line
    from device.network.resolver import Resolver

# A stopped server, and a proxy before a dead one, still accept a connection: only an answer counts.
LIMIT_S = 1.5
_LINE_BYTES = 16 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """A server that answered: where, at which address, and its own time in epoch seconds, if it sent it.

    `address` is the connected one; with a proxy the proxy's. `proxy` is that proxy's host and port. `seen_at_s` is the
    moment of the answer on the monotonic clock: a join may follow much later.
    """

    url: str
    address: str
    server_time_s: float | None
    proxy: str = ""
    seen_at_s: float = field(default_factory=time.monotonic)

    def server_now_s(self) -> float | None:
        """Return the server's time now, in epoch seconds, if it sent its time."""
        return None if self.server_time_s is None else self.server_time_s + time.monotonic() - self.seen_at_s


class Probe:
    """Looks at servers; each look is a connection of its own."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def look(self, url: str) -> ProbeResult:
        """Ask one server. Raises UnreachableError that says in words what is wrong."""
        base = base_of(url)
        # LiveKit answers GET / with "OK". It logs a warning for each GET without a token elsewhere.
        answer, line = root, _ = await self._ask(base)
        if not root.is_livekit:
            answer, line = await self._ask(f"{base}rtc/validate")
            if problem := judged(root, answer):
                raise UnreachableError(problem, for_viewers="the server's address does not lead to a LiveKit server")
        return ProbeResult(
            url=url,
            address=line.address,
            server_time_s=answer.server_time_s,
            proxy=str(line.proxy) if line.proxy else "",
        )

    async def first(self, urls: Sequence[str]) -> ProbeResult:
        """Return the first server of a list that answers; asked all at once, so that silent ones cost one limit in all.

        Raises UnreachableError with what is wrong with each.
        """
        looks = [asyncio.ensure_future(self.look(url)) for url in urls]
        try:
            problems = []
            for look in looks:
                try:
                    return await look
                except UnreachableError as error:
                    problems.append(error)
            public = {error.for_viewers for error in problems}
            raise UnreachableError("; ".join(map(str, problems)), for_viewers=public.pop() if len(public) == 1 else "")
        finally:
            for look in looks:
                look.cancel()
            await asyncio.gather(*looks, return_exceptions=True)

    async def _ask(self, url: str) -> tuple[Answer, Line]:
        try:
            async with asyncio.timeout(LIMIT_S):
                return await self._get(url)
        except TimeoutError:
            raise UnreachableError(f"{url} does not answer within {LIMIT_S:g} s") from None
        except DialError as error:
            raise UnreachableError(f"{url} {error}", for_viewers=error.for_viewers) from None
        except NotHTTPError as error:
            said = "answers in TLS; set room.url to wss://" if error.tls else "answers, but not in HTTP"
            raise UnreachableError(f"{url} {said}") from None
        except asyncio.IncompleteReadError:
            raise UnreachableError(f"{url} closes the connection in mid-answer") from None
        except ssl.SSLError as error:
            raise UnreachableError(f"{url} {tls.words(error, host=urlsplit(url).hostname or '')}") from None
        except OSError as error:
            raise UnreachableError(f"{url} cannot be reached: {words(error)}") from None

    async def _get(self, url: str) -> tuple[Answer, Line]:
        """Return the answer to one GET.

        By hand: aiohttp costs a device with a ready token 8 MB and 0.15 s of its start.
        """
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_LINE_BYTES, loop=loop)
        transport, _, line = await opened(
            url, self._resolver, lambda: asyncio.StreamReaderProtocol(reader, loop=loop), within_s=LIMIT_S
        )
        try:
            parts = urlsplit(url)
            transport.write(
                f"GET {request_path(parts)} HTTP/1.1\r\nHost: {host_header(parts)}\r\n"
                "User-Agent: livekit-device\r\nAccept: */*\r\nConnection: close\r\n\r\n".encode()
            )
            return await read_answer(reader, url), line
        finally:
            transport.abort()
