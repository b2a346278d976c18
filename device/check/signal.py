"""One WebSocket connection to the server, as the SDK makes it: which ICE servers and candidates it names.

It joins with the token that it is given, so that has to be a token of nobody else.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import secrets
import struct
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from device.errors import UnreachableError
from device.network.address import base_of, host_header, request_path
from device.network.answer import NotHTTPError, read_answer
from device.network.dial import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from device.network.dial import AddressResolver

_SWITCHING = 101
_CONNECT_S, _LISTEN_S = 5.0, 1.5
_MAX_BYTES = 1 << 20
_PROTOCOL = 15  # of LiveKit's signalling: the server then sends an offer with its candidates
# Field numbers of livekit_rtc.proto.
_JOIN, _TRICKLE = 1, 4
_ICE_SERVERS, _CANDIDATE = 5, 1
_URLS, _USERNAME, _CREDENTIAL = 1, 2, 3
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_BINARY, _CLOSE = 2, 8
_LEAVE = b"\x82\x82\0\0\0\0\x42\x00"  # one frame with an empty LeaveRequest, masked with zeros


class SignalError(Exception):
    """The WebSocket could not be opened. The text says what is wrong."""


class NoSuchPathError(SignalError):
    """The server does not know the path of this protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IceServer:
    """A STUN or TURN server that the server names, with the credentials for it."""

    url: str
    username: str = field(default="", repr=False)
    credential: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What the server offers for media: ICE servers, and its own candidates as (protocol, address, port)."""

    ice_servers: tuple[IceServer, ...]
    candidates: tuple[tuple[str, str, int], ...]


async def offered(url: str, token: str, resolver: AddressResolver) -> Offered:
    """Join over a WebSocket, listen for a moment, and leave. Raises SignalError."""
    target = f"{base_of(url)}rtc"
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    try:
        async with asyncio.timeout(_CONNECT_S):
            transport, _, _ = await connect(
                target, resolver, lambda: asyncio.StreamReaderProtocol(reader, loop=loop), within_s=_CONNECT_S
            )
    except (UnreachableError, TimeoutError) as error:
        raise SignalError(f"{target} {error or 'does not answer'}") from None
    try:
        parts = urlsplit(target)
        transport.write(
            (
                f"GET {request_path(parts)}?protocol={_PROTOCOL}&auto_subscribe=0&sdk=python HTTP/1.1\r\n"
                f"Host: {host_header(parts)}\r\nAuthorization: Bearer {token}\r\n"
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: {base64.b64encode(secrets.token_bytes(16)).decode()}\r\n\r\n"
            ).encode()
        )
        await _demand_upgrade(reader, target)
        messages: list[bytes] = []
        with contextlib.suppress(TimeoutError, OSError, asyncio.IncompleteReadError):
            async with asyncio.timeout(_LISTEN_S):
                while True:
                    messages.append(await _message(reader))
        if not messages:
            raise SignalError(f"{target} opens a WebSocket, but nothing comes through it; a proxy may hold it back")
        transport.write(_LEAVE)
        return _read(messages)
    finally:
        transport.close()


async def _demand_upgrade(reader: asyncio.StreamReader, target: str) -> None:
    try:
        async with asyncio.timeout(_CONNECT_S):
            answer = await read_answer(reader, target)
    except TimeoutError:
        raise SignalError(f"{target} does not answer a WebSocket handshake within {_CONNECT_S:g} s") from None
    except (OSError, asyncio.IncompleteReadError, NotHTTPError):
        raise SignalError(f"{target} closes the connection at a WebSocket handshake") from None
    if answer.status == HTTPStatus.NOT_FOUND:
        raise NoSuchPathError(f"{target} answers HTTP 404 to a WebSocket handshake")
    if answer.status != _SWITCHING:
        raise SignalError(
            f"{target} answers HTTP {answer.status} to a WebSocket handshake: a proxy on the way may not pass "
            "WebSocket (Upgrade)"
        )


async def _message(reader: asyncio.StreamReader) -> bytes:
    """Return the next message of a server: RFC 6455, 5.2. Fragments are not put together."""
    while True:
        first, second = await reader.readexactly(2)
        size = second & 0x7F
        if size == 126:  # noqa: PLR2004 - RFC 6455
            (size,) = struct.unpack(">H", await reader.readexactly(2))
        elif size == 127:  # noqa: PLR2004
            (size,) = struct.unpack(">Q", await reader.readexactly(8))
        if size > _MAX_BYTES or first & 0x0F == _CLOSE:
            raise asyncio.IncompleteReadError(b"", size)
        data = await reader.readexactly(size)
        if first & 0x0F == _BINARY:
            return data


def _read(messages: list[bytes]) -> Offered:
    servers: list[IceServer] = []
    candidates: list[tuple[str, str, int]] = []
    for each in messages:
        for number, value in fields(each):
            if number == _JOIN:
                for inner, content in fields(value):
                    if inner == _ICE_SERVERS:
                        servers += _ice_servers(content)
            elif number == _TRICKLE:
                candidates += [
                    found for inner, content in fields(value) if inner == _CANDIDATE and (found := _candidate(content))
                ]
    return Offered(ice_servers=tuple(servers), candidates=tuple(dict.fromkeys(candidates)))


def _ice_servers(content: bytes) -> Iterator[IceServer]:
    texts = [(number, value.decode(errors="replace")) for number, value in fields(content)]
    named = dict(texts)
    for number, text in texts:
        if number == _URLS:
            yield IceServer(url=text, username=named.get(_USERNAME, ""), credential=named.get(_CREDENTIAL, ""))


def _candidate(content: bytes) -> tuple[str, str, int] | None:
    """Return protocol, address and port of a candidate that a client can reach: RFC 8839, 5.1."""
    try:
        words = json.loads(content)["candidate"].split(" ")
        protocol, address, port = words[2].lower(), words[4], int(words[5])
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None
    return (protocol, address, port) if protocol in ("udp", "tcp") and port > 9 else None  # noqa: PLR2004 - discard


def fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of each field of a protobuf message that has a length; stop where it is cut off."""
    at = 0
    with contextlib.suppress(IndexError):
        while at < len(message):
            key, at = _varint(message, at)
            kind = key & 7
            if kind == _VARINT:
                _, at = _varint(message, at)
            elif kind == _BYTES:
                size, at = _varint(message, at)
                yield key >> 3, message[at : at + size]
                at += size
            elif kind in (_FIXED32, _FIXED64):
                at += 4 if kind == _FIXED32 else 8
            else:
                return


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:  # noqa: PLR2004 - protobuf's encoding
            return value, at
        shift += 7
