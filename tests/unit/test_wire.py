"""The wire between daemon and worker: whatever comes is a message, a wait, or a WireError."""

from __future__ import annotations

import json
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import WireError
from device.ipc.wire import HEADER_BYTES, MAX_PAYLOAD_BYTES, Decoder, Flag, Kind, Message, json_message

ALL = frozenset(Kind)
TIMES = st.integers(0, 2**63 - 1)
UNITS = st.builds(
    Message,
    kind=st.just(Kind.UNIT),
    payload=st.binary(max_size=300).map(lambda body: b"\0\0\0\1" + body),
    flags=st.sampled_from((Flag.NONE, Flag.KEY)),
    width=st.integers(1, 4096),
    height=st.integers(1, 4096),
    frame_id=st.integers(0, 2**32 - 1),
    captured_at_us=TIMES,
)
BLOCKS = st.builds(
    Message,
    kind=st.just(Kind.BLOCK),
    payload=st.binary(min_size=2, max_size=200).map(lambda body: body[: len(body) & ~1]),
    captured_at_us=TIMES,
)
OTHERS = st.builds(
    json_message,
    st.sampled_from(sorted(ALL - {Kind.UNIT, Kind.BLOCK})),
    st.dictionaries(st.text(max_size=9), st.integers() | st.text(max_size=30), max_size=4),
)
MESSAGES = st.lists(UNITS | BLOCKS | OTHERS, max_size=8)


def decoded(*pieces: bytes, accept: frozenset[Kind] = ALL) -> list[Message]:
    decoder = Decoder(accept=accept)
    return [message for piece in pieces for message in decoder.feed(piece)]


@given(MESSAGES, st.data())
def test_any_messages_in_any_pieces_come_out_as_they_went_in(messages: list[Message], data: st.DataObject) -> None:
    stream = b"".join(message.encoded() for message in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert decoded(*pieces) == messages


@given(MESSAGES)
def test_byte_by_byte(messages: list[Message]) -> None:
    stream = b"".join(message.encoded() for message in messages[:3])
    assert decoded(*(stream[index : index + 1] for index in range(len(stream)))) == messages[:3]


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_garbage_raises_or_waits(pieces: list[bytes]) -> None:
    decoder = Decoder(accept=ALL)
    try:
        for piece in pieces:
            for message in decoder.feed(piece):
                assert isinstance(message, Message)
    except WireError:
        pass
    assert len(decoder._pending) <= sum(map(len, pieces))


@given(MESSAGES.filter(bool), st.data())
def test_a_flipped_byte_raises_or_waits_or_gives_a_message(messages: list[Message], data: st.DataObject) -> None:
    stream = bytearray(b"".join(message.encoded() for message in messages))
    place = data.draw(st.integers(0, len(stream) - 1))
    stream[place] ^= data.draw(st.integers(1, 255))
    try:
        for message in decoded(bytes(stream)):
            assert message.kind in ALL
            assert len(message.payload) <= MAX_PAYLOAD_BYTES[message.kind]
    except WireError:
        pass


@given(st.binary(max_size=60) | st.sampled_from((b"[" * 4000, b'{"a":' * 2000, b"9" * 5000, b"NaN", b'"\\ud800"')))
def test_a_payload_that_is_no_object_raises(payload: bytes) -> None:
    message = Message(kind=Kind.REPLY, payload=payload)
    try:
        assert isinstance(message.json(), dict)
    except WireError as error:
        assert "REPLY" in str(error)  # noqa: PT017


def test_after_nonsense_nothing_is_believed() -> None:
    decoder = Decoder(accept=ALL)
    good = json_message(Kind.LOG, {}).encoded()
    assert len(list(decoder.feed(good))) == 1
    for _ in range(2):
        with pytest.raises(WireError, match="does not begin as one"):
            list(decoder.feed(b"x" * HEADER_BYTES + good))


def test_what_came_before_the_nonsense_is_delivered() -> None:
    messages = Decoder(accept=ALL).feed(json_message(Kind.LOG, {"event": "a"}).encoded() + b"x" * 99)
    assert next(messages).json() == {"event": "a"}
    with pytest.raises(WireError):
        next(messages)


@pytest.mark.parametrize("kind", sorted(Kind))
def test_a_kind_that_is_not_expected_is_refused_before_its_payload_comes(kind: Kind) -> None:
    with pytest.raises(WireError, match=f"kind {kind.value} is not expected"):
        decoded(json_message(kind, {}).encoded()[:HEADER_BYTES], accept=ALL - {kind})


@pytest.mark.parametrize("kind", sorted(Kind))
def test_a_payload_over_the_maximum_is_refused_by_its_header_alone(kind: Kind) -> None:
    with pytest.raises(WireError, match="over the maximum"):
        Message(kind=kind, payload=b"\0\0\0\1" + bytes(MAX_PAYLOAD_BYTES[kind])).encoded()
    header = bytearray(Message(kind=kind, payload=b"").encoded())
    header[-4:] = struct.pack("<I", MAX_PAYLOAD_BYTES[kind] + 1)
    with pytest.raises(WireError, match="over the maximum"):
        decoded(bytes(header))
    header[-4:] = struct.pack("<I", MAX_PAYLOAD_BYTES[kind])
    assert decoded(bytes(header)) == []


@pytest.mark.parametrize(
    ("message", "said"),
    (
        (Message(kind=Kind.UNIT, payload=b"abcd", width=2, height=2), "start code"),
        (Message(kind=Kind.UNIT, payload=b"", width=2, height=2), "start code"),
        (Message(kind=Kind.UNIT, payload=b"\0\0\1a", width=0, height=2), "0x2"),
        (Message(kind=Kind.UNIT, payload=b"\0\0\1a", width=2, height=4097), "2x4097"),
        (Message(kind=Kind.BLOCK, payload=b""), "0 bytes"),
        (Message(kind=Kind.BLOCK, payload=b"abc"), "3 bytes"),
        (Message(kind=Kind.UNIT, payload=b"\0\0\1a", flags=Flag(2), width=2, height=2), "unknown flags 0x2"),
    ),
)
def test_what_no_worker_sends_is_refused(message: Message, said: str) -> None:
    with pytest.raises(WireError, match=said):
        decoded(message.encoded())


def test_memory_is_bounded_by_one_message() -> None:
    """A worker that sends for ever, message upon message in small pieces, leaves nothing behind."""
    unit = Message(kind=Kind.UNIT, payload=b"\0\0\0\1" + bytes(100_000), width=2, height=2).encoded()
    decoder = Decoder(accept=ALL)
    tracemalloc.start()
    try:
        for _ in range(200):
            for start in range(0, len(unit), 16_384):
                for message in decoder.feed(unit[start : start + 16_384]):
                    assert len(message.payload) == 100_004
        current, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert current < 1 << 20
    assert peak < 2 << 20
    assert not decoder._pending


def test_json_says_what_json_cannot() -> None:
    assert json.loads(json_message(Kind.LOG, {"error": ValueError("x")}).payload) == {"error": "ValueError('x')"}


def test_a_frame_id_wraps_around() -> None:
    [message] = decoded(Message(kind=Kind.UNIT, payload=b"\0\0\1a", width=2, height=2, frame_id=2**32 + 5).encoded())
    assert message.frame_id == 5
