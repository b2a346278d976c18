"""The camera worker's part of rate control: sizes and rates within limits, for any source."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import av
import pytest

from device.encoders.bitrate_budget import BitrateBudget
from device.ipc.messages import ForceKeyFrame, SetBitrate, SetKeyFramesOnly, SetPace, SetPictureLimits
from device.ipc.worker_link import WorkerLink
from device.media.colour import BT709, Colour
from device.media.picture import AccessUnit, FramePicture
from device.sources.planes import writable
from device.workers.encoding import Encoding
from tests.unit.workers.watched import CAMERA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from device.ipc.messages import Capturing

_US = 1_000_000


@dataclass(slots=True, kw_only=True)
class Camera:
    """A source without pictures: the test supplies them."""

    width: int = 1280
    height: int = 720
    fps: int = 30
    name: str = "pattern"
    pixel_format: str = "yuv420p"
    colour: Colour = field(default=BT709)
    missed: int = 0

    def pictures(self) -> Iterator[FramePicture]:
        return iter(())


class Ears(WorkerLink):
    """Records what the daemon would receive, in place of a socket."""

    def __init__(self) -> None:
        self.units: list[AccessUnit] = []
        self.logged: list[tuple[str, dict[str, object]]] = []

    def log(self, level: str, event: str, **fields: object) -> None:
        assert level == "info"
        self.logged.append((event, fields))

    def unit(self, unit: AccessUnit) -> None:
        assert unit.payload.startswith(b"\0\0\0\1")
        self.units.append(unit)

    def capturing(self, what: Capturing) -> None:
        assert what.encoder == "x264"


def size_of(unit: AccessUnit) -> tuple[int, int]:
    return unit.width, unit.height


def preset_of(worker: Worker) -> object:
    return worker.encoding._encoder.preset  # type: ignore[attr-defined]


class Worker:
    def __init__(self, camera: Camera, *, x264_preset: str = "ultrafast") -> None:
        self.ears = Ears()
        self._camera = camera
        self._number = 0
        job = replace(
            CAMERA,
            width=1280,
            height=720,
            encoder="x264",
            bitrate_max_bps=2_500_000,
            keyframe_interval_s=100,
            x264_preset=x264_preset,
        )
        self.encoding = Encoding(self.ears, job, camera)
        assert self.carry_out(SetKeyFramesOnly(enabled=False)) == ""

    def carry_out(self, request: object) -> str:
        return self.encoding.carry_out(request)

    def confine(self, width: int, height: int, fps: int) -> str:
        return self.carry_out(SetPictureLimits(width=width, height=height, fps=fps))

    def feed(self, count: int) -> list[AccessUnit]:
        before = len(self.ears.units)
        for _ in range(count):
            frame = av.VideoFrame(self._camera.width, self._camera.height, "yuv420p")
            for plane in writable(frame):
                plane[:] = 128
            at_us = self._number * _US // self._camera.fps
            self.encoding.encode(FramePicture(frame=frame, number=self._number, captured_at_us=at_us))
            self._number += 1
        return self.ears.units[before:]


def test_half_the_rate_keeps_every_second_picture_with_its_time() -> None:
    worker = Worker(Camera())
    worker.feed(3)
    assert worker.confine(1280, 720, 15) == ""
    units = worker.feed(20)
    assert len(units) == 10
    assert {later.number - sooner.number for sooner, later in pairwise(units)} == {2}
    assert [unit.captured_at_us for unit in units] == [unit.number * _US // 30 for unit in units]


def test_a_key_frame_waits_for_the_next_picture_only() -> None:
    worker = Worker(Camera())
    worker.confine(1280, 720, 15)
    for fed, picture in ((5, 5), (6, 12)):
        worker.feed(fed)
        worker.carry_out(ForceKeyFrame())
        assert [(unit.key, unit.number) for unit in worker.feed(1)] == [(True, picture)]


def test_each_change_of_size_begins_with_a_key_frame() -> None:
    worker = Worker(Camera())
    assert [unit.key for unit in worker.feed(30)] == [True] + 29 * [False]
    worker.confine(640, 360, 30)
    assert [(size_of(unit), unit.key) for unit in worker.feed(30)] == [
        ((640, 360), key) for key in (True, *29 * (False,))
    ]
    worker.confine(1280, 720, 30)
    assert [(size_of(unit), unit.key) for unit in worker.feed(2)] == [((1280, 720), True), ((1280, 720), False)]


@pytest.mark.parametrize(
    ("camera", "size", "units"),
    (
        (
            Camera(width=960, height=720, fps=25),
            (480, 360),
            13,
        ),  # a film in 4:3 with 25 frames per second: 12.5 of them
        (Camera(width=640, height=360, fps=10), (640, 360), 25),  # within the limits already
        (Camera(width=720, height=1280, fps=24), (202, 360), 13),  # upright
    ),
)
def test_sizes_and_rates_stay_within_the_requested_limits(camera: Camera, size: tuple[int, int], units: int) -> None:
    worker = Worker(camera)
    worker.confine(640, 360, 15)
    found = worker.feed(25)
    assert {size_of(unit) for unit in found} == {size}
    assert len(found) == units


def test_pictures_are_dropped_while_the_bitrate_budget_is_exceeded() -> None:
    """Otherwise libwebrtc drops units, and units that reference them cannot be decoded."""
    budget = BitrateBudget()
    assert budget.allows(0)
    budget.add(5_000, bitrate_bps=100_000)  # 0.4 s
    assert not budget.allows(140_000)
    assert budget.allows(160_000)
    budget.add(1_000_000, bitrate_bps=50_000)
    assert not budget.allows(800_000)
    assert budget.allows(820_000)  # no pause that looks like a stalled camera


def test_the_current_bitrate_applies_to_the_next_size() -> None:
    worker = Worker(Camera())
    worker.carry_out(SetBitrate(bitrate_bps=123_000))
    worker.confine(320, 180, 15)
    assert worker.encoding._encoder._context.bit_rate == pytest.approx(123_000 * 1.06)  # type: ignore[attr-defined]


def test_a_chosen_preset_stays_and_loads_nothing_that_measures() -> None:
    worker = Worker(Camera(), x264_preset="superfast")
    assert worker.encoding._automatic is None
    worker.confine(640, 360, 15)
    assert preset_of(worker) == "superfast"


def test_the_automatic_preset_changes_with_a_key_frame_and_outlasts_a_change_of_size() -> None:
    worker = Worker(Camera(width=320, height=180), x264_preset="auto")
    worker.feed(3)
    assert preset_of(worker) == "ultrafast"
    assert worker.encoding._automatic is not None
    policy = worker.encoding._automatic._policy
    policy._window_began_s = time.monotonic() - 60  # a window of small pictures, which leave much time
    policy._pictures, policy._took_s, policy._ran_s, policy._late = 100, 0.1, 0.1, 0.0
    worker.feed(1)
    assert worker.ears.logged == [("camera.x264_preset", {"preset": "superfast"})]
    assert [unit.key for unit in worker.feed(3)] == [True, False, False]
    worker.confine(160, 90, 30)
    worker.feed(1)
    assert preset_of(worker) == "superfast"


def test_each_picture_is_sent_several_times_and_again_once() -> None:
    worker = Worker(Camera(width=320, height=180))
    worker.feed(2)
    assert worker.carry_out(SetBitrate(bitrate_bps=100_000, repetitions=2)) == ""
    worker.carry_out(ForceKeyFrame())
    units = worker.feed(4)
    assert [unit.number for unit in units] == [2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5]
    assert [unit.key for unit in units] == [True] + 11 * [False]
    assert [unit.captured_at_us for unit in units[:4]] == [66_666, 67_666, 68_666, 100_000]
    assert max(len(unit.payload) for unit in units[1:]) < 100
    worker.confine(160, 90, 30)
    assert len(worker.feed(1)) == 3
    worker.carry_out(SetBitrate(bitrate_bps=100_000))
    assert len(worker.feed(3)) == 3


def test_key_frames_alone_do_not_count_for_the_automatic_preset() -> None:
    worker = Worker(Camera(width=320, height=180), x264_preset="auto")
    worker.carry_out(SetKeyFramesOnly(enabled=True))
    worker.feed(5)
    assert worker.encoding._automatic is not None
    assert worker.encoding._automatic._policy._window_began_s is None


@pytest.mark.parametrize(
    "request_",
    (
        SetPictureLimits(width=640, height=0, fps=15),
        SetPictureLimits(width=-640, height=360, fps=15),
        SetPictureLimits(width=640, height=360, fps=0),
        SetBitrate(bitrate_bps=0),
        SetBitrate(bitrate_bps=100_000, repetitions=5),
        SetBitrate(bitrate_bps=100_000, repetitions=-1),
        SetPace(ppm=5.0),
        None,
    ),
)
def test_an_unsupported_request_is_refused(request_: object) -> None:
    worker = Worker(Camera())
    assert worker.carry_out(request_) == "a camera does not support this request or its value"
    assert size_of(worker.feed(1)[0]) == (1280, 720)
