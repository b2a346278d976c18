"""H.264 that is passed through has a key frame for each request, and every viewer's decoder understands all of it."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace

import av
import pytest

from device.clock import monotonic_us
from device.ipc.messages import ForceKeyFrame, SetBitrate, SetKeyFramesOnly, SetPictureLimits
from device.media.picture import AccessUnit
from device.sources import strip
from device.sources.annexb import IDR, PPS, SPS, nal_types
from device.sources.planes import writable
from device.workers.bridged_copy import BridgedCopy
from tests.support.films import FPS, film
from tests.unit.workers.watched import CAMERA

JOB = replace(CAMERA, source="stream", encoder="copy", bitrate_max_bps=2_500_000)


@dataclass
class Viewer:
    """Decodes what was sent from some unit on, and reads the pictures' numbers."""

    copy: BridgedCopy = field(init=False)
    sent: list[AccessUnit] = field(default_factory=list)
    began_us: int = field(default_factory=monotonic_us)

    def __post_init__(self) -> None:
        self.copy = BridgedCopy(JOB, fps=FPS, sink=self.sent.append)

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


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Return 4 s of H.264 with a key frame each 2 s."""
    path = film(tmp_path_factory.mktemp("film") / "film.mp4", gop=60, times=range(120))
    raw = io.BytesIO()
    with av.open(path) as source, av.open(raw, "w", format="h264") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    raw.seek(0)
    with av.open(raw, "r", format="h264") as annexb:
        return [bytes(packet) for packet in annexb.demux(video=0) if packet.size]


def feed(viewer: Viewer, units: list[bytes], first: int, last: int) -> None:
    for number in range(first, last):
        payload = units[number]
        unit = AccessUnit(
            payload=payload,
            key=IDR in nal_types(payload),
            width=192,
            height=108,
            number=number,
            captured_at_us=viewer.began_us + number * 1_000_000 // FPS,
        )
        viewer.copy.take(unit)


def test_after_a_publication_units_are_passed_through_from_the_next_key_frame_on(units: list[bytes]) -> None:
    viewer = Viewer()
    feed(viewer, units, 0, 30)
    assert all(unit.key for unit in viewer.sent)  # units may get lost
    assert viewer.copy.carry_out(SetKeyFramesOnly(enabled=False)) == ""
    feed(viewer, units, 30, 60)
    assert not all(unit.key for unit in viewer.sent[30:])
    feed(viewer, units, 60, 120)
    assert [unit.payload for unit in viewer.sent[-60:]] == units[60:]
    assert viewer.numbers() == list(range(120))


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
