"""Night: when it begins and ends, and what the camera's worker then does."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.config import loading
from device.errors import ConfigError, SourceError
from device.ipc.messages import Capturing, Degraded, LogRecord, SetControls, SetNight, SetPictureLimits
from device.ipc.worker_link import WorkerLink
from device.media.colour import BT601
from device.media.picture import FramePicture
from device.reload import running
from device.sources.controls import changed_controls, frame_duration, with_night
from device.streams.plan import plan_streams
from device.workers.encoding import Encoding
from device.workers.night import Night, mean_luma
from device.workers.night_policy import NightPolicy, Thresholds
from tests.support.configs import config_of
from tests.unit.workers.watched import CAMERA

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LUX = Thresholds(below=5, above=20)


def played(policy: NightPolicy, *levels: tuple[float, float]) -> list[tuple[float, bool]]:
    """Play brightness for seconds, one value a second; return when it changed, and to what."""
    changes, now = [], 0.0
    for brightness, for_s in levels:
        for _ in range(round(for_s)):
            if policy.update(now, brightness, LUX):
                changes.append((now, policy.night))
            now += 1
    return changes


def policy() -> NightPolicy:
    return NightPolicy(hold_s=10, min_s=60)


def test_night_begins_when_it_stays_dark_and_ends_when_it_stays_bright() -> None:
    assert played(policy(), (100, 30), (4, 100), (30, 100)) == [(40, True), (140, False)]


def test_between_the_thresholds_nothing_changes() -> None:
    assert played(policy(), (10, 100)) == []
    assert played(policy(), (1, 100), (10, 1000)) == [(10, True)]


def test_a_short_change_of_light_is_none() -> None:
    headlights = [(1.0, 100.0), *[(500.0, 9.0), (1.0, 5.0)] * 20]
    assert played(policy(), *headlights) == [(10, True)]


def test_a_lamp_that_night_itself_makes_bright_does_not_make_it_alternate_fast() -> None:
    changes = played(policy(), (1, 11), *[(100, 60), (1, 60)] * 20)
    assert all(b - a >= 60 for (a, _), (b, _) in pairwise(changes))
    assert len(changes) > 2


def test_a_brightness_that_is_no_number_changes_nothing() -> None:
    assert played(policy(), (math.nan, 100), (math.inf, 100)) == []


@given(st.lists(st.floats(0, 1000), max_size=400))
def test_each_mode_lasts_and_each_change_is_held(levels: list[float]) -> None:
    changes = played(policy(), *[(each, 3.0) for each in levels])
    assert [night for _, night in changes] == [index % 2 == 0 for index in range(len(changes))]
    assert all(b - a >= 60 for (a, _), (b, _) in pairwise(changes))


class FakeLink(WorkerLink):
    """Keeps what a worker sends."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self._fault = self._mode = ""

    def send(self, message: object, *, request_id: int = 0) -> None:  # noqa: ARG002
        self.sent.append(message)

    def of(self, kind: type) -> list[Any]:
        return [each for each in self.sent if isinstance(each, kind)]


class FakeCamera:
    """A camera that takes each mode, or refuses it."""

    name, pixel_format, width, height, colour, missed = "v4l2", "yuv420p", 64, 48, BT601, 0

    def __init__(self, lux: float | None) -> None:
        self.fps, self.lux, self.refuses = 30, lux, False
        self.modes: list[tuple[dict[str, Any], int]] = []

    def pictures(self) -> Iterator[FramePicture]:
        raise NotImplementedError

    def check_night(self, controls: Mapping[str, Any]) -> None:
        if not controls.keys() <= {"brightness", "gain"}:
            raise SourceError("camera.night.controls.gian: this camera has no such control")

    def set_mode(self, controls: Mapping[str, Any], *, fps: int) -> None:
        if self.refuses:
            raise SourceError("camera.controls.Gain: this camera has no such control")
        self.modes.append((dict(controls), fps))
        self.fps = fps


def picture(luma: int) -> FramePicture:
    planes = np.full((72, 64), luma, np.uint8)
    planes[48:] = 128
    return FramePicture(frame=av.VideoFrame.from_ndarray(planes, format="yuv420p"), number=0, captured_at_us=0)


@dataclasses.dataclass
class Scene:
    """The worker's parts around a camera; the encoder is the real x264."""

    camera: FakeCamera
    now: float = 0.0

    def __post_init__(self) -> None:
        settings = config_of(
            {
                "room": {"url": "ws://h"},
                "camera": {
                    "source": "v4l2",
                    "controls": {"brightness": 5, "gain": 1},
                    "night": {"enabled": True, "fps": 10, "controls": {"gain": 9}},
                },
            }
        )
        planned = plan_streams(settings)[0].worker.job
        self.job = dataclasses.replace(CAMERA, controls=planned.controls, night=planned.night, encoder="x264")  # type: ignore[union-attr]
        self.link = FakeLink()
        self.encoding = Encoding(self.link, self.job, self.camera)
        self.night = Night(self.link, self.job, self.camera, self.encoding)

    def play(self, for_s: int, luma: int = 128) -> None:
        seen = picture(luma)
        for _ in range(2 * for_s):
            self.night.check(seen, lambda: self.now)
            self.now += 0.5


def test_the_worker_changes_controls_and_rate_at_night_and_back_by_day() -> None:
    scene = Scene(FakeCamera(lux=300.0))
    scene.play(30)
    assert scene.camera.modes == []
    scene.camera.lux = 0.5
    scene.play(30)
    assert scene.camera.modes == [({"brightness": 5, "gain": 9}, 10)]
    assert scene.link.of(Degraded) == [Degraded(text="night, 10 fps", fault=False)]
    assert scene.link.of(Capturing)[-1].fps == 10
    scene.link.degraded("nothing moves")
    assert scene.link.sent[-1] == Degraded(text="nothing moves; night, 10 fps")
    scene.link.degraded("")
    assert scene.encoding.carry_out(SetPictureLimits(width=64, height=48, fps=15)) == ""
    scene.camera.lux = 300.0
    scene.play(60)
    assert scene.camera.modes[1:] == [({"brightness": 5, "gain": 1}, 30)]
    assert scene.link.of(Degraded)[-1] == Degraded(text="", fault=False)
    assert scene.link.of(Capturing)[-1].fps == 30
    logged = [(each.event, each.fields["unit"]) for each in scene.link.of(LogRecord)]
    assert logged == [("camera.night", "lux"), ("camera.day", "lux")]


def test_controls_that_are_set_meanwhile_are_those_of_the_day() -> None:
    scene = Scene(FakeCamera(lux=0.5))
    scene.play(20)
    scene.night.set_controls({"brightness": 7})
    assert scene.camera.modes[-1] == ({"brightness": 7, "gain": 9}, 10)
    scene.camera.lux = 300.0
    scene.play(100)
    assert scene.camera.modes[-1] == ({"brightness": 7}, 30)
    scene.camera.refuses = True
    with pytest.raises(SourceError):
        scene.night.set_controls({"brightness": 8})


def test_another_table_is_followed_from_then_on_and_a_wrong_one_is_not() -> None:
    scene = Scene(FakeCamera(lux=4.0))
    scene.play(20)
    scene.night.follow(scene.job.night | {"fps": 5, "controls": {"gain": 8}})
    assert scene.camera.modes[-1] == ({"brightness": 5, "gain": 8}, 5)
    assert scene.link.of(Degraded)[-1] == Degraded(text="night, 5 fps", fault=False)
    with pytest.raises(SourceError):
        scene.night.follow(scene.job.night | {"above_lux": 2.0, "below_lux": 1.0, "controls": {"gian": 1}})
    scene.play(100)
    assert len(scene.camera.modes) == 2  # still night, by the table before
    scene.night.follow(scene.job.night | {"above_lux": 2.0, "below_lux": 1.0})
    scene.play(100)
    assert scene.camera.modes[-1] == ({"brightness": 5, "gain": 1}, 30)


@pytest.mark.parametrize(
    ("before", "after", "asked"), ((True, True, True), (False, False, False), (False, True, False))
)
def test_a_reload_asks_the_worker_to_follow_a_table_that_is_and_stays_enabled(
    *, before: bool, after: bool, asked: bool
) -> None:
    old = dataclasses.replace(CAMERA, night={"enabled": before, "fps": 10})
    new = dataclasses.replace(CAMERA, night={"enabled": after, "fps": 5}, controls={"gain": 2})
    found = list(running.requests(old, new))
    assert found[0] == (SetControls(controls={"gain": 2}), SetControls(controls=CAMERA.controls))
    assert found[1:] == ([(SetNight(night=new.night), SetNight(night=old.night))] if asked else [])


def test_without_lux_the_pictures_luma_decides() -> None:
    scene = Scene(FakeCamera(lux=None))
    scene.play(20, luma=60)
    assert scene.camera.modes == []
    scene.play(20, luma=10)
    assert len(scene.camera.modes) == 1
    [line] = scene.link.of(LogRecord)
    assert (line.fields["unit"], line.fields["brightness"]) == ("mean luma", 10.0)


def test_a_camera_that_refuses_goes_on_and_says_so() -> None:
    scene = Scene(FakeCamera(lux=0.1))
    scene.camera.refuses = True
    scene.play(20)
    [line] = scene.link.of(LogRecord)
    assert line.event == "camera.night_refused"
    assert "no such control" in line.fields["why"]
    assert scene.link.of(Degraded) == [Degraded(text="camera.night does not fit this camera", fault=False)]


def test_night_replaces_a_control_of_the_day_in_any_letter_case() -> None:
    assert with_night({"gain": 1, "Brightness": 5}, {"Gain": 9}) == {"Brightness": 5, "Gain": 9}


@pytest.mark.parametrize("luma", (0, 77, 255))
def test_the_mean_luma_of_a_picture(luma: int) -> None:
    assert mean_luma(picture(luma)) == luma


def test_a_rate_that_the_sensor_does_not_have_is_its_slowest() -> None:
    offered = {
        "FrameDurationLimits": (16_666, 200_000, None),
        "ExposureTime": (0, 10**6, 20_000),
        "Contrast": (0, 1, None),
    }
    assert frame_duration(10, offered) == {"FrameDurationLimits": (100_000, 100_000)}
    assert frame_duration(1, offered) == {"FrameDurationLimits": (200_000, 200_000)}
    assert frame_duration(10, {}) == {}
    with pytest.raises(SourceError, match="too fast"):
        frame_duration(120, offered)
    before = {"exposuretime": 9, "Contrast": 1}
    assert changed_controls(before, {}, offered) == {"ExposureTime": 0}
    assert changed_controls(before, {"ExposureTime": 7}, offered) == {"ExposureTime": 7}


@pytest.mark.parametrize(
    ("night", "source", "why"),
    (
        ({"enabled": True}, "v4l2", "nothing would change"),
        ({"below_lux": 20, "above_lux": 20}, "v4l2", "is not below above_lux"),
        ({"below_luma": 90}, "v4l2", "is not below above_luma"),
        ({"fps": 31}, "v4l2", "is above fps"),
        ({"enabled": True, "fps": 5}, "pattern", "there is nothing to change"),
    ),
)
def test_contradictions_are_refused(night: dict[str, Any], source: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        config_of({"room": {"url": "ws://h"}, "camera": {"source": source, "night": night}})


@pytest.mark.parametrize(
    ("line", "where", "why"),
    (
        ("fps = 500", "camera.night.fps", "too large"),
        ("fsp = 5", "camera.night.fsp", "did you mean fps"),
        ("hold_s = '5'", "camera.night.hold_s", "must be a number"),
        ("controls = {Gain = {a = 1}}", "camera.night.controls.Gain", "must be true, false"),
    ),
)
def test_a_mistake_names_its_key(tmp_path: Path, line: str, where: str, why: str) -> None:
    path = tmp_path / "device.toml"
    path.write_text(f'[room]\nurl = "ws://h"\n[camera.night]\n{line}\n')
    with pytest.raises(ConfigError) as raised:
        loading.load(path)
    assert [each for each in raised.value.problems if f"{where}: " in str(each) and why in str(each)], raised.value


def test_one_variable_sets_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "device.toml"
    path.write_text('[room]\nurl = "ws://h"\n[camera.night]\nbelow_lux = 1.0\n')
    monkeypatch.setenv("DEVICE_CAMERA__NIGHT", '{"enabled": true, "fps": 10}')
    night = loading.load(path).camera.night
    assert (night.enabled, night.fps, night.below_lux) == (True, 10, 1.0)
    monkeypatch.setenv("DEVICE_CAMERA__NIGHT", "yes")
    with pytest.raises(ConfigError, match=r'is not JSON; it must look like \{"enabled": true'):
        loading.load(path)
