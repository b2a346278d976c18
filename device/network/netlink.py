"""What the kernel says about links, addresses and routes: the four queries of rtnetlink(7) that this device needs.

Written here and not taken from a library: pyroute2 costs 8 MB and half a second on a small board (docs/performance.md).
Messages are as in netlink(7); their layout is part of the kernel's stable interface.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

# linux/netlink.h
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence number, port
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_NESTED_BITS = 0xC000
_REQUEST, _DUMP, _DUMP_INTERRUPTED = 0x1, 0x300, 0x10
_ERROR, _DONE = 2, 3
# linux/rtnetlink.h
_NEW_LINK, _GET_LINK, _NEW_ADDRESS, _GET_ADDRESS, _NEW_ROUTE, _GET_ROUTE = 16, 18, 20, 22, 24, 26
_LINK = struct.Struct("=BxHiII")  # family, type, index, flags, change
_ADDRESS = struct.Struct("=BBBBI")  # family, prefix, flags, scope, index
_ROUTE = struct.Struct("=8BI")  # family, destination's and source's bits, and more
_LINK_NAME, _ADDRESS_ADDRESS, _ADDRESS_LOCAL, _ADDRESS_FLAGS = 3, 1, 2, 8
_ROUTE_TO, _ROUTE_LINK, _ROUTE_SOURCE = 1, 4, 7
_NUMBER = struct.Struct("=i")
_FAMILY_OF_SIZE = {4: socket.AF_INET, 16: socket.AF_INET6}
# The kernel fills at most 32 KB at once (netlink_dump); one answer is smaller.
_BUFFER = 64 << 10
_ANSWER_S = 5.0


class NetlinkError(OSError):
    """The kernel refused a query, or a change interrupted its answer (EINTR)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An interface; `flags` are those of netdevice(7)."""

    index: int
    name: str
    flags: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address of an interface; `address` is the local one of a point-to-point link."""

    index: int
    address: str
    scope: int
    flags: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The interface that the kernel uses for a destination, 0 for none, and the address, which may be empty."""

    index: int
    source: str


class Netlink:
    """A socket for queries. Blocks for at most 5 s. Raises NetlinkError as above, else OSError."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.settimeout(_ANSWER_S)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    def links(self) -> list[Link]:
        return [_link(each) for each in self._answers(_GET_LINK, _LINK.pack(0, 0, 0, 0, 0), _NEW_LINK, flags=_DUMP)]

    def link(self, index: int) -> Link:
        return next(_link(each) for each in self._answers(_GET_LINK, _LINK.pack(0, 0, index, 0, 0), _NEW_LINK))

    def addresses(self) -> list[Address]:
        asked = _ADDRESS.pack(0, 0, 0, 0, 0)
        return [_address(each) for each in self._answers(_GET_ADDRESS, asked, _NEW_ADDRESS, flags=_DUMP)]

    def route_to(self, address: str) -> Route:
        """Return the route to an IPv4 or IPv6 address."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        packed = socket.inet_pton(family, address.partition("%")[0])
        asked = _ROUTE.pack(family, 8 * len(packed), *(0,) * 7)
        asked += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(packed), _ROUTE_TO) + packed
        return next(_route(each) for each in self._answers(_GET_ROUTE, asked, _NEW_ROUTE))

    def _answers(self, query: int, asked: bytes, kind: int, *, flags: int = 0) -> list[bytes]:
        """Send one query; return the contents of all messages of its answer, at least one unless it is a dump."""
        self._sequence += 1
        header = _HEADER.pack(_HEADER.size + len(asked), query, _REQUEST | flags, self._sequence, 0)
        self._socket.sendto(header + asked, (0, 0))
        found: list[bytes] = []
        interrupted = False
        while True:
            for type_, its_flags, content in self._received():
                interrupted |= bool(its_flags & _DUMP_INTERRUPTED)
                if type_ == kind:
                    found.append(content)
                elif type_ in (_ERROR, _DONE) and (code := -_NUMBER.unpack_from(content)[0] if content else 0):
                    raise NetlinkError(code, os.strerror(code))
                elif type_ == _DONE and interrupted:
                    raise NetlinkError(errno.EINTR, "a change interrupted the kernel's list")
                elif type_ == _DONE:
                    return found
            if found and not flags:
                return found

    def _received(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield type, flags and content of each message of the pending query."""
        data, _, truncated, sender = self._socket.recvmsg(_BUFFER)
        if truncated & socket.MSG_TRUNC:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        if sender[0] != 0:  # not the kernel
            return
        at = 0
        while at + _HEADER.size <= len(data):
            length, kind, flags, sequence, _ = _HEADER.unpack_from(data, at)
            if not _HEADER.size <= length <= len(data) - at:
                raise OSError(errno.EBADMSG, os.strerror(errno.EBADMSG))
            if sequence == self._sequence:
                yield kind, flags, data[at + _HEADER.size : at + length]
            at += _aligned(length)


def _link(content: bytes) -> Link:
    _, _, index, flags, _ = _LINK.unpack_from(content)
    name = _attributes(content, _LINK.size).get(_LINK_NAME, b"")
    return Link(index=index, name=name.rstrip(b"\0").decode(errors="replace"), flags=flags)


def _address(content: bytes) -> Address:
    _, _, flags, scope, index = _ADDRESS.unpack_from(content)
    found = _attributes(content, _ADDRESS.size)
    wide = found.get(_ADDRESS_FLAGS)  # the header has only the first eight bits
    return Address(
        index=index,
        address=_text(found.get(_ADDRESS_LOCAL) or found.get(_ADDRESS_ADDRESS, b"")),
        scope=scope,
        flags=_NUMBER.unpack(wide)[0] if wide else flags,
    )


def _route(content: bytes) -> Route:
    found = _attributes(content, _ROUTE.size)
    link = found.get(_ROUTE_LINK)
    return Route(index=_NUMBER.unpack(link)[0] if link else 0, source=_text(found.get(_ROUTE_SOURCE, b"")))


def _attributes(content: bytes, at: int) -> dict[int, bytes]:
    found = {}
    while at + _ATTRIBUTE.size <= len(content):
        length, kind = _ATTRIBUTE.unpack_from(content, at)
        if length < _ATTRIBUTE.size:
            break
        found[kind & ~_NESTED_BITS] = content[at + _ATTRIBUTE.size : at + length]
        at += _aligned(length)
    return found


def _text(packed: bytes) -> str:
    family = _FAMILY_OF_SIZE.get(len(packed))
    return socket.inet_ntop(family, packed) if family else ""


def _aligned(length: int) -> int:
    return (length + 3) & ~3
