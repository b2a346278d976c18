"""The messages that are bytes with a few numbers: pictures and sound on their way to the daemon."""

from __future__ import annotations

from dataclasses import dataclass

from device.errors import WireError
from device.ipc.registry import Direction, Wire, message
from device.media.block import Block
from device.media.picture import AccessUnit

_MAX_DIMENSION = 4096
_START_CODES = (b"\0\0\0\1", b"\0\0\1")
MAX_SNAPSHOT_BYTES = 8 << 20
SNAPSHOT_PIECE_BYTES = 16 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotPiece:
    """A part of a JPEG: in pieces it does not hold up access units. `full`: it has the sensor's full size."""

    data: bytes
    last: bool
    width: int
    height: int
    full: bool
    captured_at_us: int


def _encode_unit(unit: AccessUnit) -> Wire:
    return Wire(
        unit.payload,
        key=unit.key,
        width=unit.width,
        height=unit.height,
        number=unit.number & 0xFFFFFFFF,
        captured_at_us=unit.captured_at_us,
    )


def _decode_unit(wire: Wire) -> AccessUnit:
    _checked_time(wire)
    if not wire.payload.startswith(_START_CODES):
        raise WireError("an access unit does not begin with a start code")
    if not (0 < wire.width <= _MAX_DIMENSION and 0 < wire.height <= _MAX_DIMENSION):
        raise WireError(f"an access unit claims a size of {wire.width}x{wire.height}")
    return AccessUnit(
        payload=wire.payload,
        key=wire.key,
        width=wire.width,
        height=wire.height,
        number=wire.number,
        captured_at_us=wire.captured_at_us,
    )


def _checked_time(wire: Wire) -> None:
    if wire.captured_at_us < 0:
        raise WireError("a message claims a negative capture time")


def _encode_block(block: Block) -> Wire:
    return Wire(block.samples, captured_at_us=block.captured_at_us)


def _decode_block(wire: Wire) -> Block:
    _checked_time(wire)
    if not wire.payload or len(wire.payload) % 2:
        raise WireError(f"a block of {len(wire.payload)} bytes has incomplete samples")
    return Block(samples=wire.payload, captured_at_us=wire.captured_at_us)


def _encode_piece(piece: SnapshotPiece) -> Wire:
    return Wire(
        piece.data,
        key=piece.last,
        width=piece.width,
        height=piece.height,
        number=piece.full,
        captured_at_us=piece.captured_at_us,
    )


def _decode_piece(wire: Wire) -> SnapshotPiece:
    _checked_time(wire)
    return SnapshotPiece(
        data=wire.payload,
        last=wire.key,
        width=wire.width,
        height=wire.height,
        full=bool(wire.number),
        captured_at_us=wire.captured_at_us,
    )


message(32, Direction.TO_DAEMON, max_payload_bytes=SNAPSHOT_PIECE_BYTES, encode=_encode_piece, decode=_decode_piece)(
    SnapshotPiece
)
# A key frame of a noisy 2160p picture is smaller than 4 MiB.
message(13, Direction.TO_DAEMON, max_payload_bytes=4 << 20, encode=_encode_unit, decode=_decode_unit)(AccessUnit)
# Half a second of stereo sound.
message(14, Direction.TO_DAEMON, max_payload_bytes=96 << 10, encode=_encode_block, decode=_decode_block)(Block)
