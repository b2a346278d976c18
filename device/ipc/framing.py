"""Encodes messages as a fixed header and a payload each, and decodes them from a byte stream. Pure.

Each process treats the other's data as untrusted input: `Decoder` raises WireError for an invalid message.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from device.errors import WireError
from device.ipc.registry import Direction, Wire, spec_numbered, spec_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from device.ipc.registry import Spec

# magic, message number, flags, width, height, request id, frame number, capture time (us), length of the payload
_HEADER = struct.Struct("<HBBHHIIqI")
HEADER_BYTES = _HEADER.size
_MAGIC = 0x4C44
_KEY = 1


class Received(NamedTuple):
    """A message. `request_id` is the id of a request or of the request that a reply answers; 0 for other messages."""

    message: Any
    request_id: int


def encode(message: object, *, request_id: int = 0) -> bytes:
    """Return header and payload. Raises WireError for a payload above the maximum of its type."""
    spec = spec_of(type(message))
    wire = spec.encode(message)
    if len(wire.payload) > spec.max_payload_bytes:
        raise WireError(f"a {spec.type.__name__} message of {len(wire.payload)} bytes is over the maximum")
    header = _HEADER.pack(
        _MAGIC,
        spec.number,
        _KEY if wire.key else 0,
        wire.width,
        wire.height,
        request_id,
        wire.number,
        wire.captured_at_us,
        len(wire.payload),
    )
    return header + wire.payload


class Decoder:
    """Splits a byte stream into the messages of one direction; buffers at most one incomplete message."""

    def __init__(self, direction: Direction) -> None:
        self._direction = direction
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[Received]:
        """Yield each message that `data` completes. Raises WireError at the first invalid message."""
        self._pending += data
        position = 0
        try:
            while len(self._pending) - position >= HEADER_BYTES:
                magic, number, flags, width, height, request_id, frame, captured_at_us, length = _HEADER.unpack_from(
                    self._pending, position
                )
                spec = self._checked(magic, number, flags, length)
                end = position + HEADER_BYTES + length
                if len(self._pending) < end:
                    break
                with memoryview(self._pending) as view:
                    payload = bytes(view[position + HEADER_BYTES : end])
                position = end
                wire = Wire(
                    payload,
                    key=bool(flags & _KEY),
                    width=width,
                    height=height,
                    number=frame,
                    captured_at_us=captured_at_us,
                )
                yield Received(spec.decode(wire), request_id)
        finally:
            del self._pending[:position]

    def _checked(self, magic: int, number: int, flags: int, length: int) -> Spec[Any]:
        if magic != _MAGIC:
            raise WireError("a message does not begin as one")
        spec = spec_numbered(number)
        if spec is None or spec.direction is not self._direction:
            raise WireError(f"message {number} is not expected here")
        if flags & ~_KEY:
            raise WireError(f"a message has unknown flags {flags:#x}")
        if length > spec.max_payload_bytes:
            raise WireError(f"a {spec.type.__name__} message of {length} bytes is over the maximum")
        return spec
