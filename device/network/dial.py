"""Opens connections to servers: with our resolver, through the configured proxy, with verified TLS for https://."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import urlsplit

from aiohappyeyeballs import start_connection

from device.errors import UnreachableError
from device.network import rules, tls
from device.network.address import host_and_port, target_of
from device.network.proxy import Proxy, ProxyError, proxy_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from urllib.parse import SplitResult

_P = TypeVar("_P", bound=asyncio.BaseProtocol)

_NEXT_ADDRESS_S = 0.25  # RFC 8305, 5: Connection Attempt Delay
_CERTIFICATE_S = 0.5
_LATE_S = 0.3  # a name server that is this late may be too late for the SDK
_MAX_HEAD_BYTES = 16 << 10
_CHUNK = 4096
_STATUS = re.compile(rb"HTTP/\d\.\d (\d{3})[ \r]")
# asyncio raises these itself, without an errno.
_ERRNO_OF_TYPE = (
    (ConnectionResetError, errno.ECONNRESET),
    (ConnectionAbortedError, errno.ECONNABORTED),
    (BrokenPipeError, errno.EPIPE),
    (TimeoutError, errno.ETIMEDOUT),
)
_GRANTED = range(200, 300)
_WHY_REFUSED = {
    403: "it does not allow this host or port",
    405: "it does not support tunnels (CONNECT)",
    407: "set its user and password: http://USER:PASSWORD@HOST:PORT",
    502: "it does not reach the server",
    503: "it does not reach the server",
    504: "it does not reach the server",
}


class DialError(UnreachableError):
    """The connection failed. The text follows the server's name, such as "cannot be reached: Connection refused".

    `leg` is the part of the way that failed: "tcp", "proxy" or "tls".
    """

    def __init__(self, message: str, *, leg: str, for_viewers: str = "") -> None:
        super().__init__(message, for_viewers=for_viewers)
        self.leg = leg


class AddressResolver(Protocol):
    """Resolves host names, such as `device.network.resolver.Resolver`."""

    async def resolve(self, host: str, *, within_s: float) -> list[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """An open connection. `address` is the peer's address, which is the proxy's if there is a proxy.

    `detour`: the first address did not answer, or the name servers were late, so the SDK alone may fail.
    """

    socket: socket.socket
    address: str
    proxy: Proxy | None
    detour: bool = False


def family_of(address: str) -> socket.AddressFamily:
    """Return AF_INET6 or AF_INET for a numeric address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


async def connect(
    url: str, resolver: AddressResolver, factory: Callable[[], _P], *, within_s: float
) -> tuple[asyncio.Transport, _P, Connection]:
    """Connect to the server of an http:// or https:// URL.

    Raises DialError, and UnreachableError for a name that does not resolve.
    """
    parts = urlsplit(url)
    connection = await open_connection(parts, resolver, within_s=within_s)
    try:
        return (*await _encrypted(connection.socket, parts, factory, tls.context()), connection)
    except ssl.SSLError as error:  # before ValueError and OSError: a certificate error is both
        wrong = await _certificate_names(parts, resolver, within_s=within_s) if tls.is_wrong_name(error) else ()
        tls.forget_authorities()
        text = tls.error_text(error, host=parts.hostname or "", names=wrong)
        public = "certificate is refused" if isinstance(error, ssl.SSLCertVerificationError) else "TLS fails"
        raise DialError(text, leg="tls", for_viewers=f"the server's {public}") from None
    except tls.AuthoritiesError as error:
        connection.socket.close()
        raise DialError(f"cannot be trusted: {error}", leg="tls") from None
    except OSError as error:
        raise DialError(f"cannot be reached: {error_text(error)}", leg="tls") from None


async def _encrypted(
    connected: socket.socket, url: SplitResult, factory: Callable[[], _P], context: ssl.SSLContext
) -> tuple[asyncio.Transport, _P]:
    encrypted = url.scheme == "https"
    try:
        return await asyncio.get_running_loop().create_connection(
            factory,
            sock=connected,
            ssl=context if encrypted else None,
            server_hostname=url.hostname if encrypted else None,
        )
    except BaseException:
        connected.close()
        raise


async def _certificate_names(url: SplitResult, resolver: AddressResolver, *, within_s: float) -> tuple[str, ...]:
    """Return the names in a certificate for another host. It connects again: OpenSSL does not keep the certificate."""
    try:
        async with asyncio.timeout(_CERTIFICATE_S):
            connection = await open_connection(url, resolver, within_s=within_s)
            transport, _ = await _encrypted(connection.socket, url, asyncio.Protocol, tls.context_without_names())
            try:
                return tls.names_of(transport.get_extra_info("peercert") or {})
            finally:
                transport.abort()
    except (TimeoutError, OSError, UnreachableError):
        return ()


async def open_connection(url: SplitResult, resolver: AddressResolver, *, within_s: float) -> Connection:
    """Connect to a server, or to the proxy and through that, without TLS. Raises as `connect` does."""
    try:
        proxy = proxy_for(url.geturl(), rules.settings())
        host, port = target_of(url)
    except ProxyError as error:
        raise DialError(f"cannot be reached: {error}", leg="proxy") from None
    except UnicodeError:
        raise DialError("cannot be reached: its name is not a valid host name", leg="tcp") from None
    if proxy is None:
        try:
            connected, detour = await _reached(resolver, url.hostname or "", port, within_s=within_s)
        except OSError as error:
            raise DialError(f"cannot be reached: {error_text(error)}", leg="tcp") from None
        return Connection(socket=connected, address=_peer(connected), proxy=None, detour=detour)
    try:
        return await _connect_through(proxy, host_and_port(host, port), resolver, within_s=within_s)
    except DialError as error:
        raise DialError(str(error), leg="proxy", for_viewers="the proxy does not connect to the server") from None


async def _connect_through(proxy: Proxy, target: str, resolver: AddressResolver, *, within_s: float) -> Connection:
    """Open a tunnel through a proxy, which resolves the server's name."""
    prefix = f"cannot be reached: the proxy {proxy} (of {proxy.variable})"
    try:
        connected, detour = await _reached(resolver, proxy.host, proxy.port, within_s=within_s)
    except UnreachableError:
        raise DialError(f"{prefix} does not resolve", leg="proxy") from None
    except OSError as error:
        raise DialError(f"{prefix} cannot be reached: {error_text(error)}", leg="proxy") from None
    try:
        status = await _tunnelled(connected, proxy, target)
    except OSError as error:
        connected.close()
        raise DialError(f"{prefix} closes the connection: {error_text(error)}", leg="proxy") from None
    except BaseException:
        connected.close()
        raise
    if status in _GRANTED:
        return Connection(socket=connected, address=_peer(connected), proxy=proxy, detour=detour)
    connected.close()
    if status is None:
        text = f"{prefix} does not answer in HTTP; the LiveKit SDK needs a proxy for plain HTTP"
        raise DialError(text, leg="proxy")
    why = _WHY_REFUSED.get(status)
    raise DialError(f"{prefix} refuses (HTTP {status}){f': {why}' if why else ''}", leg="proxy")


async def _tunnelled(connected: socket.socket, proxy: Proxy, target: str) -> int | None:
    """Return the status of the response to CONNECT; None if it is not HTTP."""
    loop = asyncio.get_running_loop()
    authorization = f"Proxy-Authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
    request = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n"
    await loop.sock_sendall(connected, request.encode())
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _MAX_HEAD_BYTES:
        received = await loop.sock_recv(connected, _CHUNK)
        head += received
        if not received or not b"HTTP/".startswith(head[:5]):
            break
    match = _STATUS.match(head)
    return int(match[1]) if match else None


async def _reached(resolver: AddressResolver, host: str, port: int, *, within_s: float) -> tuple[socket.socket, bool]:
    """Connect to a host; return whether the first address failed or the name servers were late, too."""
    clock = asyncio.get_running_loop().time
    began = clock()
    addresses = await resolver.resolve(host, within_s=within_s)
    late = clock() - began > _LATE_S
    connected = await _connected(addresses, port)
    return connected, late or _peer(connected) not in ("", addresses[0])


async def _connected(addresses: Sequence[str], port: int) -> socket.socket:
    return await start_connection(
        [(family_of(each), socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (each, port)) for each in addresses],
        happy_eyeballs_delay=_NEXT_ADDRESS_S,
    )


def _peer(connected: socket.socket) -> str:
    try:
        return str(connected.getpeername()[0])
    except OSError:
        return ""  # the connection is closed already; the next step reports it


def error_text(error: OSError) -> str:
    """Return the system's text for an error; a library's text may contain secrets."""
    number = error.errno or next((number for kind, number in _ERRNO_OF_TYPE if isinstance(error, kind)), 0)
    return os.strerror(number) if number > 0 else "none of its addresses answers"
