"""The messages that are bytes with a few numbers: pictures and sound; and how sound is played."""

from __future__ import annotations

from dataclasses import dataclass

from device.errors import WireError
from device.ipc.registry import Direction, Wire, message
from device.media.block import SAMPLE_BYTES, SAMPLE_RATE, Block
from device.media.picture import AccessUnit

_MAX_DIMENSION = 4096
_START_CODES = (b"\0\0\0\1", b"\0\0\1")
MAX_SNAPSHOT_BYTES = 8 << 20
SNAPSHOT_PIECE_BYTES = 16 << 10
PLAYED_MS = 10
PLAYED_BYTES = SAMPLE_RATE * PLAYED_MS // 1000 * SAMPLE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotPiece:
    """A part of a JPEG: in pieces it does not hold up access units. `full`: it has the sensor's full size."""

    data: bytes
    last: bool
    width: int
    height: int
    full: bool
    captured_at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaySound:
    """10 ms of mono sound for a speaker, and when it arrived at this device, on the monotonic clock."""

    samples: bytes
    arrived_at_us: int


@message(52, Direction.TO_DAEMON, max_payload_bytes=4 << 10)
@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerReport:
    """How a speaker plays, each half a second while it does. Times in milliseconds; `at_us` is on the monotonic clock.

    queue_ms: how long blocks wait in the worker, on average; 0 if `blocks` is
    target_ms: how long they should wait, so that late ones cause no gap
    output_latency_ms: from there to the speaker
    blocks: those that were played since the last report; `underruns` and `dropped` are totals
    """

    at_us: int
    queue_ms: float
    target_ms: int
    output_latency_ms: float
    blocks: int
    underruns: int
    dropped: int

    @property
    def captured_at_us(self) -> int:
        """The time, as units and blocks of sound have it."""
        return self.at_us


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


def _encode_sound(sound: PlaySound) -> Wire:
    return Wire(sound.samples, captured_at_us=sound.arrived_at_us)


def _decode_sound(wire: Wire) -> PlaySound:
    if len(wire.payload) != PLAYED_BYTES:
        raise WireError(f"sound of {len(wire.payload)} bytes is not {PLAYED_BYTES}")
    return PlaySound(samples=wire.payload, arrived_at_us=wire.captured_at_us)


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
message(51, Direction.TO_WORKER, max_payload_bytes=PLAYED_BYTES, encode=_encode_sound, decode=_decode_sound)(PlaySound)
