"""Messages between the daemon and a worker: a fixed header and one payload. Pure.

Each process treats what the other wrote as foreign input: `Decoder` refuses what is not a message.
"""

from __future__ import annotations

import enum
import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from device.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Iterator

# magic, kind, flags, width, height, frame id, capture time (us, CLOCK_MONOTONIC), length of the payload
_HEADER = struct.Struct("<HBBHHIqI")
HEADER_BYTES = _HEADER.size
_MAGIC = 0x4C44
_MAX_DIMENSION = 4096
_START_CODES = (b"\0\0\0\1", b"\0\0\1")


class Kind(enum.IntEnum):
    """What a message carries."""

    SETTINGS = 1  # to the worker, first and once: JSON
    COMMAND = 2  # to the worker: JSON {id, name, value}
    HELLO = 3  # from the worker, once it captures: JSON, what it captures with
    UNIT = 4  # one H.264 access unit, Annex B
    BLOCK = 5  # one block of sound: 48 kHz, 16 bit, little endian, channels interleaved
    REPLY = 6  # answer to a command: JSON {id, error}
    LOG = 7  # one log line: JSON {level, event, ...}
    FAILED = 8  # last words: JSON {error, message}
    NOTICE = 9  # a source is degraded: JSON {text}; empty: it has recovered


MAX_PAYLOAD_BYTES = {
    Kind.SETTINGS: 64 << 10,
    Kind.COMMAND: 4 << 10,
    Kind.HELLO: 16 << 10,
    Kind.UNIT: 4 << 20,  # a key frame of a noisy 2160p picture stays below
    Kind.BLOCK: 96 << 10,  # half a second in stereo
    Kind.REPLY: 4 << 10,
    Kind.LOG: 32 << 10,
    Kind.FAILED: 16 << 10,
    Kind.NOTICE: 4 << 10,
}


class Flag(enum.IntFlag):
    """Flags of a UNIT."""

    NONE = 0
    KEY = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message. `width`, `height` (pixels) and `frame_id` belong to units, the capture time to blocks too."""

    kind: Kind
    payload: bytes
    flags: Flag = Flag.NONE
    width: int = 0
    height: int = 0
    frame_id: int = 0
    captured_at_us: int = 0

    def json(self) -> dict[str, Any]:
        """Return the payload's object. Raises WireError if it is none."""
        try:
            value = json.loads(self.payload)
        except (ValueError, RecursionError):
            raise WireError(f"a {self.kind.name} message holds no JSON") from None
        if not isinstance(value, dict):
            raise WireError(f"a {self.kind.name} message holds no JSON object")
        return value

    def encoded(self) -> bytes:
        """Return header and payload. Raises WireError for a payload over the kind's maximum."""
        if len(self.payload) > MAX_PAYLOAD_BYTES[self.kind]:
            raise WireError(f"a {self.kind.name} message of {len(self.payload)} bytes is over the maximum")
        header = _HEADER.pack(
            _MAGIC,
            self.kind,
            self.flags,
            self.width,
            self.height,
            self.frame_id & 0xFFFFFFFF,
            self.captured_at_us,
            len(self.payload),
        )
        return header + self.payload


def json_message(kind: Kind, value: dict[str, Any]) -> Message:
    return Message(kind=kind, payload=json.dumps(value, default=repr).encode())


class Decoder:
    """Cuts a stream of bytes into messages; holds at most one unfinished message."""

    def __init__(self, *, accept: frozenset[Kind]) -> None:
        self._accept = accept
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield each message that `data` completes. Raises WireError at the first that is none."""
        self._pending += data
        position = 0
        try:
            while len(self._pending) - position >= HEADER_BYTES:
                header = _HEADER.unpack_from(self._pending, position)
                kind = self._checked_kind(*header)
                end = position + HEADER_BYTES + header[7]
                if len(self._pending) < end:
                    break
                with memoryview(self._pending) as view:
                    payload = bytes(view[position + HEADER_BYTES : end])
                position = end
                yield _checked(
                    Message(
                        kind=kind,
                        payload=payload,
                        flags=Flag(header[2]),
                        width=header[3],
                        height=header[4],
                        frame_id=header[5],
                        captured_at_us=header[6],
                    )
                )
        finally:
            del self._pending[:position]

    def _checked_kind(self, magic: int, kind: int, flags: int, *rest: int) -> Kind:
        if magic != _MAGIC:
            raise WireError("a message does not begin as one")
        if kind not in self._accept:
            raise WireError(f"a message of kind {kind} is not expected here")
        if flags & ~int(Flag.KEY):
            raise WireError(f"a message has unknown flags {flags:#x}")
        if rest[-1] > MAX_PAYLOAD_BYTES[Kind(kind)]:
            raise WireError(f"a {Kind(kind).name} message of {rest[-1]} bytes is over the maximum")
        return Kind(kind)


def _checked(message: Message) -> Message:
    if message.captured_at_us < 0:
        raise WireError("a message claims a negative capture time")
    if message.kind is Kind.UNIT:
        if not message.payload.startswith(_START_CODES):
            raise WireError("an access unit does not begin with a start code")
        if not (0 < message.width <= _MAX_DIMENSION and 0 < message.height <= _MAX_DIMENSION):
            raise WireError(f"an access unit claims a size of {message.width}x{message.height}")
    if message.kind is Kind.BLOCK and (not message.payload or len(message.payload) % 2):
        raise WireError(f"a block of {len(message.payload)} bytes holds no whole samples")
    return message
