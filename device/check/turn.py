"""Asks a TURN server for a relay address, and gives it back: RFC 8656, with the long-term credentials of RFC 8489."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import ipaddress
import re
import secrets
import socket
import ssl
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from device.errors import UnreachableError
from device.network import tls
from device.network.dial import error_text, family_of

if TYPE_CHECKING:
    from device.network.dial import AddressResolver

_URL = re.compile(r"(turns?):(\[[^\]]+\]|[^:?]+)(?::(\d+))?(?:\?transport=(udp|tcp))?")
_PORTS = {"turn": 3478, "turns": 5349}
_COOKIE = 0x2112A442
_ALLOCATE, _REFRESH = 0x0003, 0x0004
_USERNAME, _INTEGRITY, _ERROR_CODE, _LIFETIME = 0x0006, 0x0008, 0x0009, 0x000D
_REALM, _NONCE, _RELAYED, _TRANSPORT = 0x0014, 0x0015, 0x0016, 0x0019
_UDP = 17 << 24
_UNAUTHORIZED = 401
_HEAD_BYTES = 20
_RESEND_S = (0.5, 1.0, 1.5)
_CONNECT_S = 4.0


class TurnError(Exception):
    """No relay address was given. The text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnServer:
    """A TURN server by its URL (RFC 7065)."""

    secure: bool
    host: str
    port: int
    transport: str
    username: str = field(repr=False)
    credential: str = field(repr=False)

    @classmethod
    def of_url(cls, url: str, *, username: str, credential: str) -> TurnServer | None:
        """Return the server of a turn: or turns: URL; None for others, such as stun:."""
        match = _URL.fullmatch(url)
        if match is None:
            return None
        scheme, host, port, transport = match.groups()
        return cls(
            secure=scheme == "turns",
            host=host.strip("[]"),
            port=int(port or _PORTS[scheme]),
            transport=transport or ("tcp" if scheme == "turns" else "udp"),
            username=username,
            credential=credential,
        )


async def relay_address(server: TurnServer, resolver: AddressResolver) -> str:
    """Return the address that the server gives for a relay. Raises TurnError.

    TURN does not pass an HTTP proxy, as the SDK does not either.
    """
    try:
        addresses = await resolver.resolve(server.host, within_s=_CONNECT_S)
    except UnreachableError as error:
        raise TurnError(str(error)) from None
    problem = ""
    for address in addresses[:2]:
        try:
            async with asyncio.timeout(_CONNECT_S):
                return await _allocated(server, address)
        except TimeoutError:
            problem = f"{address} does not answer over {server.transport.upper()}"
        except tls.AuthoritiesError as error:
            problem = str(error)
        except ssl.SSLError as error:
            problem = f"{address} {tls.error_text(error, host=server.host)}"
        except OSError as error:
            problem = f"{address}: {error_text(error)}"
    raise TurnError(problem or f"{server.host} has no address")


async def _allocated(server: TurnServer, address: str) -> str:
    link = await _Link.to(server, address)
    try:
        asked = {_TRANSPORT: struct.pack(">I", _UDP)}
        known, key = dict[int, bytes](), b""
        answer = await link.request(_ALLOCATE, asked)
        code = _code(answer)
        if code == _UNAUTHORIZED:
            realm, nonce = answer.get(_REALM, b""), answer.get(_NONCE, b"")
            key = hashlib.md5(  # RFC 8489, 9.2.2
                b":".join((server.username.encode(), realm, server.credential.encode())), usedforsecurity=False
            ).digest()
            known = {_USERNAME: server.username.encode(), _REALM: realm, _NONCE: nonce}
            answer = await link.request(_ALLOCATE, asked | known, key=key)
            code = _code(answer)
            if code == _UNAUTHORIZED:
                raise TurnError("it refuses the credentials that the LiveKit server gives out (401)")
        if code:
            raise TurnError(f"it gives no relay address (error {code})")
        with contextlib.suppress(TimeoutError, OSError):
            await link.request(_REFRESH, {_LIFETIME: bytes(4)} | known, key=key)
        return _address(answer.get(_RELAYED, b""))
    finally:
        link.close()


class _Link:
    """A connection to a TURN server. Over UDP a request is sent again, as RFC 8489 says."""

    def __init__(self, reader: asyncio.StreamReader | None, writer: asyncio.StreamWriter | None) -> None:
        self._reader, self._writer = reader, writer
        self._socket: socket.socket | None = None

    @classmethod
    async def to(cls, server: TurnServer, address: str) -> _Link:
        if server.transport == "tcp":
            context = tls.context() if server.secure else None
            name = server.host if server.secure else None
            reader, writer = await asyncio.open_connection(address, server.port, ssl=context, server_hostname=name)
            return cls(reader, writer)
        link = cls(None, None)
        link._socket = socket.socket(family_of(address), socket.SOCK_DGRAM)
        link._socket.setblocking(False)  # noqa: FBT003 - its signature
        try:
            await asyncio.get_running_loop().sock_connect(link._socket, (address, server.port))
        except OSError:
            link.close()
            raise
        return link

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        if self._socket is not None:
            self._socket.close()

    async def request(self, kind: int, attributes: dict[int, bytes], *, key: bytes = b"") -> dict[int, bytes]:
        """Send a request; return the attributes of its answer."""
        number = secrets.token_bytes(12)
        message = packed(kind, number, attributes, key=key)
        if self._writer is not None and self._reader is not None:
            self._writer.write(message)
            await self._writer.drain()
            head = await self._reader.readexactly(_HEAD_BYTES)
            return unpacked(head + await self._reader.readexactly(struct.unpack(">H", head[2:4])[0]))
        assert self._socket is not None
        loop = asyncio.get_running_loop()
        for within_s in _RESEND_S:
            await loop.sock_sendall(self._socket, message)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    while (received := await loop.sock_recv(self._socket, 2048))[8:20] != number:
                        pass
                    return unpacked(received)
        raise TimeoutError


def packed(kind: int, number: bytes, attributes: dict[int, bytes], *, key: bytes = b"") -> bytes:
    """Return a STUN message, with MESSAGE-INTEGRITY if there is a key."""
    body = b"".join(
        struct.pack(">HH", each, len(value)) + value + bytes(-len(value) % 4) for each, value in attributes.items()
    )
    size = len(body) + (24 if key else 0)
    message = struct.pack(">HHI", kind, size, _COOKIE) + number + body
    if key:
        message += struct.pack(">HH", _INTEGRITY, 20) + hmac.new(key, message, hashlib.sha1).digest()
    return message


def unpacked(message: bytes) -> dict[int, bytes]:
    """Return the attributes of a STUN message; what is cut off is left out."""
    found: dict[int, bytes] = {}
    at = _HEAD_BYTES
    while at + 4 <= len(message):
        kind, size = struct.unpack(">HH", message[at : at + 4])
        found[kind] = message[at + 4 : at + 4 + size]
        at += 4 + size + (-size % 4)
    return found


def _code(attributes: dict[int, bytes]) -> int:
    """Return the error code of an answer; 0 for a success."""
    value = attributes.get(_ERROR_CODE, b"")
    return (value[2] & 7) * 100 + value[3] if len(value) >= 4 else 0  # noqa: PLR2004 - RFC 8489, 14.8


def _address(value: bytes) -> str:
    """Return the text of an XOR'ed address, without its port."""
    packed_ip = value[4:8]
    if len(packed_ip) < 4:  # noqa: PLR2004 - of IPv4; only that was asked for
        return "an address"
    return str(ipaddress.IPv4Address(struct.unpack(">I", packed_ip)[0] ^ _COOKIE))
