"""A name server that answers for one family at once, and never for the other."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_PORT = 53
_HEAD_BYTES, _AFTER_NAME_BYTES = 12, 5
_A, _IN = 1, 1
_ANSWERED = 0x8180
_NAME_ABOVE = 0xC00C


class _HalfServer(asyncio.DatagramProtocol):
    def __init__(self, address: str) -> None:
        self._address = address

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        end = data.index(0, _HEAD_BYTES) + _AFTER_NAME_BYTES
        question = data[_HEAD_BYTES:end]
        if struct.unpack(">H", question[-4:-2])[0] != _A:
            return
        head = data[:2] + struct.pack(">HHHHH", _ANSWERED, 1, 1, 0, 0)
        record = struct.pack(">HHHIH", _NAME_ABOVE, _A, _IN, 0, 4) + socket.inet_aton(self._address)
        self._transport.sendto(head + question + record, addr)  # type: ignore[attr-defined]


@contextlib.asynccontextmanager
async def half_dns(at: str, *, address: str) -> AsyncIterator[None]:
    """Answer each query for IPv4 with this address, on port 53 of `at`."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _HalfServer(address), local_addr=(at, _PORT)
    )
    try:
        yield
    finally:
        transport.close()
