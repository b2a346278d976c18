"""H.264 that is passed through has a key frame for each request, and every viewer's decoder understands all of it."""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from PIL import Image

from device.clock import monotonic_us
from device.ipc.framing import Received
from device.ipc.messages import ForceKeyFrame, SetBitrate, SetKeyFramesOnly, SetPictureLimits, TakeSnapshot
from device.media.picture import AccessUnit
from device.sources import strip
from device.sources.annexb import IDR, PPS, SPS, nal_types
from device.sources.planes import writable
from device.workers.bridged_copy import BridgedCopy
from tests.support.films import FPS, film
from tests.unit.workers.watched import CAMERA

if TYPE_CHECKING:
    from collections.abc import Callable

    from device.ipc.media_messages import SnapshotPiece

JOB = replace(CAMERA, source="stream", encoder="copy", bitrate_max_bps=2_500_000)


@dataclass
class Viewer:
    """Decodes what was sent from some unit on, and reads the pictures' numbers."""

    copy: BridgedCopy = field(init=False)
    sent: list[AccessUnit] = field(default_factory=list)
    began_us: int = field(default_factory=monotonic_us)
    ask_key: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        self.copy = BridgedCopy(JOB, fps=FPS, sink=self.sent.append, ask_key=self.ask_key)

    def captured_at_us(self, number: int) -> int:
        return self.began_us + number * 1_000_000 // FPS

    def unit(self, number: int, payload: bytes) -> AccessUnit:
        """Return the source's unit with this number."""
        return AccessUnit(
            payload=payload,
            key=IDR in nal_types(payload),
            width=192,
            height=108,
            number=number,
            captured_at_us=self.captured_at_us(number),
        )

    def numbers(self, since: int = 0) -> list[int]:
        decoder = av.CodecContext.create("h264", "r")
        found = []
        for packet in (*(av.Packet(unit.payload) for unit in self.sent[since:]), None):
            for frame in decoder.decode(packet):
                assert isinstance(frame, av.VideoFrame)
                reading = strip.read(writable(frame)[0])
                assert reading is not None
                found.append(reading.number)
        return found


def annexb(path: str) -> list[bytes]:
    raw = io.BytesIO()
    with av.open(path) as source, av.open(raw, "w", format="h264") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    raw.seek(0)
    with av.open(raw, "r", format="h264") as units:
        return [bytes(packet) for packet in units.demux(video=0) if packet.size]


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Return 4 s of H.264 with a key frame each 2 s."""
    return annexb(film(tmp_path_factory.mktemp("film") / "film.mp4", gop=60, times=range(120)))


@pytest.fixture(scope="module")
def rare(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Return 6 s of H.264 with one key frame."""
    return annexb(film(tmp_path_factory.mktemp("film") / "rare.mp4", gop=1000, times=range(180)))


def feed(viewer: Viewer, units: list[bytes], first: int, last: int) -> None:
    for number in range(first, last):
        viewer.copy.take(viewer.unit(number, units[number]))


def test_after_a_publication_key_frames_of_the_source_are_sent_and_then_all_its_units(units: list[bytes]) -> None:
    viewer = Viewer()
    feed(viewer, units, 0, 30)
    assert viewer.copy.carry_out(SetKeyFramesOnly(enabled=False)) == ""
    feed(viewer, units, 30, 120)
    # Units may get lost; after that the link is probed for a second, and the next key frame is awaited.
    assert all(unit.payload is units[0] for unit in viewer.sent[:-60])
    assert [unit.payload for unit in viewer.sent[-60:]] == units[60:]
    held = [viewer.captured_at_us(number) for number in range(59)]
    assert [unit.captured_at_us for unit in viewer.sent[:-60]] == held
    assert viewer.copy._decoder._context is None  # it takes memory


def test_with_rare_key_frames_the_pictures_are_encoded_after_a_publication(rare: list[bytes]) -> None:
    viewer = Viewer()
    feed(viewer, rare, 0, 30)
    viewer.copy.carry_out(SetKeyFramesOnly(enabled=False))
    feed(viewer, rare, 30, 90)
    numbers = viewer.numbers()
    assert set(numbers[:59]) == {0}
    # 2 s are a usual interval of key frames; the next one is awaited until then.
    assert viewer.sent[59].captured_at_us - viewer.captured_at_us(60) < 200_000
    assert numbers[59:] == sorted(set(numbers[59:]))
    assert numbers[-1] == 89
    # A new session: the last key frame of the source is old by now.
    before = len(viewer.sent)
    viewer.copy.carry_out(SetKeyFramesOnly(enabled=True))
    feed(viewer, rare, 90, 100)
    assert all(unit.key for unit in viewer.sent[before:])
    assert viewer.numbers(since=before) == list(range(90, 100))


def test_a_new_session_has_a_new_picture_although_the_last_key_frame_is_old(rare: list[bytes]) -> None:
    viewer = Viewer()
    viewer.copy.carry_out(SetKeyFramesOnly(enabled=False))
    feed(viewer, rare, 0, 120)
    assert [unit.payload for unit in viewer.sent] == rare[:120]
    viewer.copy.carry_out(SetKeyFramesOnly(enabled=True))
    feed(viewer, rare, 120, 130)
    late = viewer.numbers(since=120)
    assert late[-1] == 129
    assert all(unit.key for unit in viewer.sent[120:])


def test_a_source_that_repeats_its_key_frame_has_it_sent_each_second_or_if_it_is_wanted(units: list[bytes]) -> None:
    viewer = Viewer()
    viewer.copy.carry_out(SetKeyFramesOnly(enabled=False))
    feed(viewer, units[:1] * 45, 0, 45)
    assert [unit.captured_at_us - viewer.began_us for unit in viewer.sent] == [0, 1_000_000]
    viewer.copy.carry_out(ForceKeyFrame())
    feed(viewer, units[:1] * 50, 45, 50)
    assert len(viewer.sent) == 3


def test_a_camera_that_can_be_asked_is_asked_once_and_answers_in_place_of_the_encoder(units: list[bytes]) -> None:
    asked: list[int] = []

    def ask() -> bool:
        asked.append(1)
        return True

    viewer = Viewer(ask_key=ask)
    viewer.copy.carry_out(SetKeyFramesOnly(enabled=False))
    feed(viewer, units, 0, 20)
    viewer.copy.carry_out(ForceKeyFrame())
    feed(viewer, units, 20, 25)
    assert asked == [1]
    rest = [units[60], *units[61:80]]
    feed(viewer, [*units[:25], *rest], 25, 45)
    assert [unit.payload for unit in viewer.sent] == [*units[:25], *rest]
    viewer.copy.carry_out(ForceKeyFrame())
    feed(viewer, [*units[:45], *units[80:100]], 45, 65)  # no answer: encoded after 0.3 s
    assert asked == [1, 1]
    assert viewer.sent[-1].payload != units[99]
    assert viewer.numbers()[-1] == 99


def test_a_request_between_key_frames_is_answered_and_nobodys_picture_breaks(units: list[bytes]) -> None:
    viewer = Viewer()
    viewer.copy.carry_out(SetKeyFramesOnly(enabled=False))
    feed(viewer, units, 0, 80)
    asked = len(viewer.sent)
    assert viewer.copy.carry_out(ForceKeyFrame()) == ""
    feed(viewer, units, 80, 120)
    keyed = next(index for index, unit in enumerate(viewer.sent) if index >= asked and unit.key)
    assert keyed - asked <= 5
    assert nal_types(viewer.sent[keyed].payload) >= {SPS, PPS, IDR}
    late = viewer.numbers(since=keyed)
    assert late == list(range(120 - len(late), 120))
    assert viewer.numbers() == list(range(120))
    assert [unit.number for unit in viewer.sent] == list(range(1, len(viewer.sent) + 1))


def test_a_request_shortly_before_a_key_frame_waits_for_it(units: list[bytes]) -> None:
    viewer = Viewer()
    viewer.copy.carry_out(SetKeyFramesOnly(enabled=False))
    feed(viewer, units, 0, 60)
    feed(viewer, units, 60, 115)
    viewer.copy.carry_out(ForceKeyFrame())
    before = len(viewer.sent)
    feed(viewer, units, 115, 120)
    assert [unit.payload for unit in viewer.sent[before:]] == units[115:120]


def test_what_cannot_be_changed_is_said(units: list[bytes]) -> None:
    viewer = Viewer()
    assert viewer.copy.carry_out(SetBitrate(bitrate_bps=100_000)) == ""
    assert "cannot be changed" in viewer.copy.carry_out(SetPictureLimits(width=160, height=120, fps=5))
    feed(viewer, units, 0, 3)
    assert len(viewer.sent) == 3


class Link:
    """Takes the answers to requests for snapshots."""

    def __init__(self) -> None:
        self.sent: list[tuple[SnapshotPiece, int]] = []
        self.complete = threading.Event()

    def send(self, piece: SnapshotPiece, *, request_id: int) -> None:
        self.sent.append((piece, request_id))
        if piece.last:
            self.complete.set()


@pytest.mark.parametrize("asked_at", (1, 40, 59, 60, 100))
def test_a_snapshot_has_the_newest_picture_whenever_it_is_asked_for(units: list[bytes], asked_at: int) -> None:
    viewer, link = Viewer(), Link()
    viewer.copy.carry_out(SetKeyFramesOnly(enabled=False))
    feed(viewer, units, 0, asked_at)
    wanted = TakeSnapshot(max_width=0, quality=90, full=False)
    viewer.copy.take_snapshot(Received(wanted, 7), link)  # type: ignore[arg-type]
    number = asked_at
    while not viewer.copy._snapshots or not viewer.copy._snapshots._thread:
        feed(viewer, units, number, number + 1)
        number += 1
    assert link.complete.wait(10)
    assert {request_id for _, request_id in link.sent} == {7}
    data = b"".join(piece.data for piece, _ in link.sent)
    picture = Image.open(io.BytesIO(data)).convert("L")
    reading = strip.read(np.asarray(picture))
    assert reading is not None
    assert reading.number == number - 1
    assert number - asked_at < FPS  # decoding takes a part of the time only
    assert {piece.captured_at_us for piece, _ in link.sent} == {viewer.captured_at_us(number - 1)}
