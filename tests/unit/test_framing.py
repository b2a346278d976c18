"""The byte stream between daemon and worker: data yields a message, waits for more, or raises WireError."""

from __future__ import annotations

import struct
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import WireError
from device.ipc import messages
from device.ipc.framing import HEADER_BYTES, Decoder, Received, encode
from device.ipc.registry import Direction, spec_of
from device.media.block import Block
from device.media.picture import AccessUnit

TIMES = st.integers(0, 2**63 - 1)
TEXTS = st.text(max_size=30)
UNITS = st.builds(
    AccessUnit,
    payload=st.binary(max_size=300).map(lambda body: b"\0\0\0\1" + body),
    key=st.booleans(),
    width=st.integers(1, 4096),
    height=st.integers(1, 4096),
    number=st.integers(0, 2**32 - 1),
    captured_at_us=TIMES,
)
BLOCKS = st.builds(
    Block,
    samples=st.binary(min_size=2, max_size=200).map(lambda body: body[: len(body) & ~1]),
    captured_at_us=TIMES,
)
OTHERS = (
    st.builds(messages.Capturing, source=TEXTS, encoder=TEXTS, width=st.integers())
    | st.builds(messages.Degraded, text=TEXTS)
    | st.builds(messages.Failed, error=TEXTS, message=TEXTS, for_viewers=TEXTS)
    | st.builds(messages.Done, error=TEXTS)
)
STREAMS = st.lists(st.builds(Received, UNITS | BLOCKS | OTHERS, st.integers(0, 2**32 - 1)), max_size=8)


def stream_of(received: list[Received]) -> bytes:
    return b"".join(encode(each.message, request_id=each.request_id) for each in received)


def decoded(*pieces: bytes, direction: Direction = Direction.TO_DAEMON) -> list[Received]:
    decoder = Decoder(direction)
    return [each for piece in pieces for each in decoder.feed(piece)]


@given(STREAMS, st.data())
def test_messages_in_any_pieces_are_decoded(sent: list[Received], data: st.DataObject) -> None:
    stream = stream_of(sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert decoded(*pieces) == sent


@given(STREAMS)
def test_messages_byte_by_byte_are_decoded(sent: list[Received]) -> None:
    stream = stream_of(sent[:3])
    assert decoded(*(stream[index : index + 1] for index in range(len(stream)))) == sent[:3]


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_garbage_raises_or_waits(pieces: list[bytes]) -> None:
    decoder = Decoder(Direction.TO_DAEMON)
    try:
        for piece in pieces:
            for received in decoder.feed(piece):
                assert spec_of(type(received.message))
    except WireError:
        pass
    assert len(decoder._pending) <= sum(map(len, pieces))


@given(STREAMS.filter(bool), st.data())
def test_a_flipped_byte_raises_or_waits_or_gives_a_message(sent: list[Received], data: st.DataObject) -> None:
    stream = bytearray(stream_of(sent))
    place = data.draw(st.integers(0, len(stream) - 1))
    stream[place] ^= data.draw(st.integers(1, 255))
    try:
        for received in decoded(bytes(stream)):
            assert spec_of(type(received.message)).direction is Direction.TO_DAEMON
    except WireError:
        pass


def header(*, magic: int = 0x4C44, number: int = 9, flags: int = 0, length: int = 0) -> bytes:
    return struct.pack("<HBBHHIIqI", magic, number, flags, 0, 0, 0, 0, 0, length)


@pytest.mark.parametrize(
    ("data", "why"),
    (
        (header(magic=1), "does not begin as one"),
        (header(number=200), "message 200 is not expected here"),
        (header(number=1), "message 1 is not expected here"),
        (header(flags=2), "unknown flags 0x2"),
        (header(length=129 << 10), "a Capturing message of 132096 bytes is over the maximum"),
    ),
    ids=["magic", "unknown", "direction", "flags", "length"],
)
def test_an_invalid_header_is_refused_before_its_payload(data: bytes, why: str) -> None:
    with pytest.raises(WireError, match=why):
        decoded(data)


def test_a_message_over_its_maximum_is_not_sent() -> None:
    with pytest.raises(WireError, match=r"a Degraded message of .* bytes is over the maximum"):
        encode(messages.Degraded(text="x" * (5 << 10)))


def test_an_incomplete_message_is_bounded_in_memory() -> None:
    decoder = Decoder(Direction.TO_DAEMON)
    unit = encode(
        AccessUnit(payload=b"\0\0\1" + bytes(1 << 20), key=True, width=2, height=2, number=0, captured_at_us=0)
    )
    tracemalloc.start()
    try:
        for _ in range(20):
            assert len(list(decoder.feed(unit))) == 1
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 5 * len(unit)


@pytest.mark.parametrize("size", (HEADER_BYTES - 1, 1))
def test_part_of_a_header_waits(size: int) -> None:
    assert decoded(header()[:size]) == []


def test_a_request_carries_its_id() -> None:
    stream = encode(messages.SetBitrate(bitrate_bps=100_000), request_id=7)
    (received,) = decoded(stream, direction=Direction.TO_WORKER)
    assert received == Received(messages.SetBitrate(bitrate_bps=100_000), 7)


@pytest.mark.parametrize(
    ("unit", "why"),
    (
        ({"payload": b"no start code"}, "start code"),
        ({"width": 0}, "a size of 0x2"),
        ({"height": 4097}, "a size of 2x4097"),
    ),
    ids=["no start code", "no width", "too high"],
)
def test_an_access_unit_that_cannot_be_decoded_is_refused(unit: dict[str, Any], why: str) -> None:
    whole: dict[str, Any] = {"payload": b"\0\0\1", "key": True, "width": 2, "height": 2, "number": 0} | unit
    with pytest.raises(WireError, match=why):
        decoded(encode(AccessUnit(**whole, captured_at_us=0)))


@pytest.mark.parametrize("samples", (b"", b"123"), ids=["empty", "odd"])
def test_a_block_without_whole_samples_is_refused(samples: bytes) -> None:
    with pytest.raises(WireError, match="has incomplete samples"):
        decoded(encode(Block(samples=samples, captured_at_us=0)))
