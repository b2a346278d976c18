"""Is the server there? One HTTP GET of its origin tells, without joining anything."""

from __future__ import annotations

import asyncio
import email.utils
import functools
import http.client
import io
import os
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import SplitResult, urlsplit

from aiohappyeyeballs import start_connection

from device.errors import UnreachableError
from device.network.http import family_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device.network.resolver import Resolver

# A stopped server, and a proxy before a dead one, still accept a connection: only an answer counts.
LIMIT_S = 1.5
_SERVER_ERRORS = 500
_PORTS = {"http": 80, "https": 443}
_MAX_HEAD_BYTES = 16 << 10
_NEXT_ADDRESS_S = 0.25  # RFC 8305, 5: Connection Attempt Delay
_SCHEMES = {"ws": "http", "wss": "https"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A server that answered: where, at which address, and its own time in epoch seconds where it told it."""

    url: str
    address: str
    server_time_s: float | None


class Probe:
    """Looks at servers; each look is a connection of its own."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def look(self, url: str) -> Sight:
        """Ask one server. Raises UnreachableError that says in words what is wrong."""
        origin = origin_of(url)
        try:
            async with asyncio.timeout(LIMIT_S):
                return await self._ask(url, origin)
        except TimeoutError:
            raise UnreachableError(f"{origin} does not answer within {LIMIT_S:g} s") from None

    async def first(self, urls: Sequence[str]) -> Sight:
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
                    problems.append(str(error))
            raise UnreachableError("; ".join(problems))
        finally:
            for look in looks:
                look.cancel()
            await asyncio.gather(*looks, return_exceptions=True)

    async def _ask(self, url: str, origin: str) -> Sight:
        parts = urlsplit(origin)
        addresses = await self._resolver.resolve(parts.hostname or "", within_s=LIMIT_S)
        try:
            answer = await _answer(parts, addresses)
        except (asyncio.LimitOverrunError, http.client.HTTPException, ValueError):
            raise UnreachableError(f"{origin} answers, but not in HTTP") from None
        except asyncio.IncompleteReadError:
            raise UnreachableError(f"{origin} closes the connection in mid-answer") from None
        except OSError as error:
            raise UnreachableError(f"{origin} cannot be reached: {_words(error)}") from None
        if answer.status >= _SERVER_ERRORS:
            raise UnreachableError(
                f"{origin} answers HTTP {answer.status}: a proxy is there, the LiveKit server is not"
            )
        return Sight(url=url, address=addresses[0], server_time_s=_time_of(answer.headers.get("Date", "")))


async def _answer(origin: SplitResult, addresses: Sequence[str]) -> http.client.HTTPResponse:
    """Return the head of the answer to GET /.

    By hand: aiohttp, of which no more would be needed, costs a device with a ready token 8 MB and 0.15 s of its start.
    Raises OSError, IncompleteReadError, and for what is not HTTP HTTPException, LimitOverrunError or
    ValueError.
    """
    port = origin.port or _PORTS[origin.scheme]
    tls = origin.scheme == "https"
    connection = await start_connection(
        [(family_of(each), socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (each, port)) for each in addresses],
        happy_eyeballs_delay=_NEXT_ADDRESS_S,
    )
    reader, writer = await asyncio.open_connection(
        sock=connection,
        limit=_MAX_HEAD_BYTES,
        ssl=_tls() if tls else None,
        server_hostname=origin.hostname if tls else None,
    )
    try:
        writer.write(f"GET / HTTP/1.1\r\nHost: {origin.netloc}\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readuntil(b"\n")
        if not head.startswith(b"HTTP/"):
            raise http.client.BadStatusLine("")
        while (line := await reader.readuntil(b"\n")).strip():
            head += line
            if len(head) > _MAX_HEAD_BYTES:
                raise http.client.LineTooLong("head")
    finally:
        writer.transport.abort()
    answer = http.client.HTTPResponse(cast("Any", _Received(head + b"\r\n")))
    answer.begin()
    return answer


class _Received:
    """A head that is here already, in the form from which http.client reads."""

    def __init__(self, head: bytes) -> None:
        self._head = head

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._head)


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def origin_of(url: str) -> str:
    """Return the http:// or https:// origin of a room's URL, with a slash at its end."""
    parts = urlsplit(url)
    return f"{_SCHEMES[parts.scheme]}://{parts.netloc}/"


def _time_of(date: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error.strerror or type(error).__name__}"
    # asyncio writes "Connect call failed" over what the kernel said.
    number = error.errno or 0
    return os.strerror(number) if number > 0 else error.strerror or str(error) or type(error).__name__
