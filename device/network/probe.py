"""Does the server answer? One HTTP GET at the room's URL says so, without joining anything."""

from __future__ import annotations

import asyncio
import email.utils
import http.client
import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urljoin, urlsplit

from aiohappyeyeballs import start_connection

from device.errors import UnreachableError
from device.network import tunnel
from device.network.http import family_of
from device.network.http_head import MAX_HEAD_BYTES, head_of_answer
from device.network.proxy import Proxy, proxy_for
from device.network.tls import default_context, tls_error_text
from device.network.tunnel import os_error_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device.network.resolver import Resolver

# A stopped server, and a proxy before a dead one, still accept a connection: only an answer counts.
LIMIT_S = 1.5
_PORTS = {"http": 80, "https": 443}
_NEXT_ADDRESS_S = 0.25  # RFC 8305, 5: Connection Attempt Delay
_SCHEMES = {"ws": "http", "wss": "https", "http": "http", "https": "https"}
_OK, _UNAUTHORIZED = 200, 401
_REDIRECTS = range(300, 400)
# livekit-server answers 200 at its root, and 401 to a request for validation without a token (v1.13.5).
_VALIDATE = "rtc/validate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A server that answered: where, at which address, and its own time in epoch seconds if it told it.

    With a proxy the address is the proxy's. `seen_at_s` is the moment of the answer on the monotonic clock: a join may
    follow much later.
    """

    url: str
    address: str
    server_time_s: float | None
    seen_at_s: float = field(default_factory=time.monotonic)

    def server_now_s(self) -> float | None:
        """Return the server's time now, in epoch seconds, if it told its time."""
        return None if self.server_time_s is None else self.server_time_s + time.monotonic() - self.seen_at_s


class Probe:
    """Asks servers whether they are there; each question is a connection of its own."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def look(self, url: str) -> Sight:
        """Ask one server. Raises UnreachableError that says in words what is wrong."""
        try:
            async with asyncio.timeout(LIMIT_S):
                return await self._ask(url)
        except TimeoutError:
            raise UnreachableError(f"{base_url(url)} does not answer within {LIMIT_S:g} s{_through(url)}") from None

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
                    problems.append(error)
            raise UnreachableError("; ".join(map(str, problems)), for_viewers=problems[0].for_viewers)
        finally:
            for look in looks:
                look.cancel()
            await asyncio.gather(*looks, return_exceptions=True)

    async def _ask(self, url: str) -> Sight:
        base, proxy = base_url(url), proxy_for(url)
        try:
            address, answer = await self._get(base, "", proxy)
            if answer.status in _REDIRECTS:
                raise _redirected(base, answer)
            if answer.status != _OK or "html" in (answer.getheader("Content-Type") or ""):
                # Another program answers at the root, or none: what counts is who answers below the URL's own path.
                _, other = await self._get(base, _VALIDATE, proxy)
                if other.status in _REDIRECTS:
                    raise _redirected(base, other)
                if other.status not in (_OK, _UNAUTHORIZED):
                    raise _not_livekit(base, answer.status, other.status)
        except ssl.SSLError as error:  # a verification error is a ValueError as well
            raise UnreachableError(f"{base} cannot be trusted: {tls_error_text(error)}", for_viewers=_NO_TLS) from None
        except (asyncio.LimitOverrunError, http.client.HTTPException, ValueError):
            raise UnreachableError(f"{base} answers, but not in HTTP") from None
        except asyncio.IncompleteReadError:
            raise UnreachableError(f"{base} closes the connection in mid-answer") from None
        except OSError as error:
            raise UnreachableError(f"{base} cannot be reached: {os_error_text(error)}") from None
        return Sight(url=url, address=address, server_time_s=_time_of(answer.headers.get("Date", "")))

    async def _get(self, base: str, path: str, proxy: Proxy | None) -> tuple[str, http.client.HTTPResponse]:
        """Return the address that was connected to, and the head of the answer to GET.

        By hand: aiohttp costs a device with a ready token 8 MB and 0.15 s of its start.
        Raises OSError, IncompleteReadError, and for what is not HTTP HTTPException, LimitOverrunError or ValueError.
        """
        parts = urlsplit(base)
        connection = await self._connected(parts, proxy)
        address = str(connection.getpeername()[0])
        tls = parts.scheme == "https"
        reader, writer = await asyncio.open_connection(
            sock=connection,
            limit=MAX_HEAD_BYTES,
            ssl=default_context() if tls else None,
            server_hostname=parts.hostname if tls else None,
        )
        try:
            target = f"{parts.path}{path}"
            writer.write(f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
            return address, await head_of_answer(reader)
        finally:
            writer.transport.abort()

    async def _connected(self, server: SplitResult, proxy: Proxy | None) -> socket.socket:
        """Return a connection to the server, through the proxy if there is one."""
        host, port = (server.hostname or "", server.port or _PORTS[server.scheme])
        try:
            addresses = await self._resolver.resolve(proxy.host if proxy else host, within_s=LIMIT_S)
            connection = await start_connection(
                [
                    (family_of(each), socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (each, proxy.port if proxy else port))
                    for each in addresses
                ],
                happy_eyeballs_delay=_NEXT_ADDRESS_S,
            )
        except (OSError, UnreachableError) as error:
            if proxy is None:
                raise
            why = str(error) if isinstance(error, UnreachableError) else os_error_text(error)
            raise UnreachableError(f"the proxy {proxy} cannot be reached: {why}", for_viewers=_NO_PROXY) from None
        if proxy is not None:
            await tunnel.opened(connection, proxy, host=host, port=port)
        return connection


_NO_TLS = "the server's certificate is not accepted"
_NO_PROXY = "the proxy cannot be reached"


def base_url(url: str) -> str:
    """Return the http:// or https:// URL of a room's URL, with a slash at its end: below it is the server's API."""
    parts = urlsplit(url)
    return f"{_SCHEMES[parts.scheme]}://{parts.netloc}{parts.path.rstrip('/')}/"


def _through(url: str) -> str:
    proxy = proxy_for(url)
    return f" (through the proxy {proxy})" if proxy else ""


def _redirected(base: str, answer: http.client.HTTPResponse) -> UnreachableError:
    """Return the error that names where a server redirects to. A redirect is not followed: the token would go along."""
    target = redirect_target(base, answer.getheader("Location") or "")
    if not target:
        return UnreachableError(
            f"{base} redirects (HTTP {answer.status}) to nowhere; set room.url to the server itself"
        )
    return UnreachableError(
        f"{base} redirects to {target}; set room.url to {target}", for_viewers="the server redirects elsewhere"
    )


def redirect_target(base: str, location: str) -> str:
    """Return the room's URL behind a Location header, without user, query and API path; empty if it is none."""
    try:
        parts = urlsplit(urljoin(base, location))
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https", "ws", "wss") or not host:
        return ""
    scheme = "wss" if parts.scheme in ("https", "wss") else "ws"
    path = parts.path.removesuffix(_VALIDATE).rstrip("/")
    return f"{scheme}://{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}{path}"


def _not_livekit(base: str, root: int, validate: int) -> UnreachableError:
    status = root if root != _OK else validate
    if status >= 500:  # noqa: PLR2004 - server errors
        text = f"{base} answers HTTP {status}: a proxy is there, the LiveKit server is not"
    else:
        text = f"{base} answers HTTP {status}, but it is not a LiveKit server; look at room.url, also at its path"
    return UnreachableError(text, for_viewers="something other than a LiveKit server answers")


def _time_of(date: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
