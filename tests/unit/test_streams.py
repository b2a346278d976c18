"""The capturing half as a whole, with real workers: what operators read, and what viewers see in the camera's place."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from device.config import loading as config_file
from device.lifecycle.deadlines import Deadlines
from device.lifecycle.sd_notify import Notifier
from device.streams.capture import capturing
from device.streams.plan import plan_streams
from device.telemetry.attributes import Attributes
from device.telemetry.state_file import StateFile
from device.telemetry.status import Status
from device.tracks.video import VideoTrack
from tests.support.children import living_descendants
from tests.support.clips import clip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from device.media.picture import AccessUnit
    from device.tracks.track import Track

pytestmark = pytest.mark.usefixtures("no_orphans")

LIMIT_S = 60.0
FILM, SLATE = (640, 360), (480, 360)
CONFIG = """
[room]
url = "ws://127.0.0.1:1"
name = "front-door"
[watch]
camera_stall_s = {stall_s}
microphone_stall_s = {stall_s}
[microphone]
source = "tone"
[camera]
width = 640
height = 480
"""


class Scene:
    """What the capturing half says and delivers."""

    def __init__(
        self, config: Path, camera: str, monkeypatch: pytest.MonkeyPatch, *, stall_s: float = LIMIT_S / 2
    ) -> None:
        config.write_text(CONFIG.format(stall_s=stall_s) + f"{camera}\n")
        self.config = config_file.load(config)
        self.attributes = Attributes()
        self.status, self.deadlines = Status(self.attributes, Notifier(), StateFile(None)), Deadlines()
        self.delivered: list[AccessUnit] = []
        deliver = VideoTrack.deliver

        def delivered(track: VideoTrack, unit: AccessUnit) -> None:
            self.delivered.append(unit)
            deliver(track, unit)

        monkeypatch.setattr(VideoTrack, "deliver", delivered)

    def says(self, name: str) -> str:
        return self.attributes.snapshot().get(f"device.{name}", "")

    def sizes(self, since: int = 0) -> list[tuple[int, int]]:
        return [(unit.width, unit.height) for unit in self.delivered[since:]]

    def play(self, *scenes: tuple[Callable[[], object], Callable[[list[Track]], None]]) -> None:
        """Capture; wait for each condition, and do then what belongs to it."""

        async def main() -> None:
            async with (
                capturing(plan_streams(self.config), observer=self.status, deadlines=self.deadlines) as streams,
                asyncio.timeout(LIMIT_S),
            ):
                for condition, act in scenes:
                    while not condition():  # of what other processes do  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
                    act([each.track for each in streams])

        asyncio.run(main())


def nothing(_tracks: list[Track]) -> None:
    """Wait only."""


def test_a_camera_that_cannot_be_opened_is_stood_in_for_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = tmp_path / "film.mp4"
    scene = Scene(tmp_path / "device.toml", f'source = "file"\npath = "{film}"', monkeypatch)

    def stood_in_for() -> bool:
        return len(scene.delivered) >= 3 and scene.says("microphone") == "live"

    def mended(tracks: list[Track]) -> None:
        assert scene.says("camera") == "stalled: the file cannot be opened"
        assert {(unit.width, unit.height, unit.key) for unit in scene.delivered} == {(*SLATE, True)}
        assert [unit.number for unit in scene.delivered] == [1, 2, 3]
        assert tracks[0].fed == 3
        film.symlink_to(clip("bigbuckbunny.mp4"))

    def live(_tracks: list[Track]) -> None:
        assert scene.says("camera") == "live"

    scene.play((stood_in_for, mended), (lambda: scene.sizes().count(FILM) > 60, live))
    first = scene.sizes().index(FILM)
    # Two seconds of film: the slate does not come between.
    assert set(scene.sizes(first)) == {FILM}
    assert set(scene.sizes()[:first]) == {SLATE}


def test_a_camera_without_its_library_is_said_to_be_so_and_sound_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tmp_path / "device.toml", 'source = "picamera2"', monkeypatch)
    scene.play((lambda: scene.says("microphone") == "live" and scene.says("camera") != "starting", nothing))
    assert scene.says("camera").startswith(("stalled: ", "absent: "))
    assert scene.deadlines.missed(time.monotonic()) == []
    assert set(scene.deadlines.missed(time.monotonic() + 1000)) == {"worker camera", "worker microphone"}


@pytest.mark.parametrize("number", (signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP))
def test_both_come_back_after_both_have_died_at_once(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stall_s = 2.0 if number is signal.SIGSTOP else LIMIT_S / 2
    scene = Scene(tmp_path / "device.toml", 'source = "pattern"', monkeypatch, stall_s=stall_s)
    seen: list[str] = []
    told = Status.worker

    def worker(status: Status, name: str, *what: object) -> None:
        told(status, name, *what)  # type: ignore[arg-type]
        seen.append(f"{name} {scene.says(name)}")

    monkeypatch.setattr(Status, "worker", worker)

    def both_live() -> bool:
        return scene.says("camera") == scene.says("microphone") == "live"

    def strike(_tracks: list[Track]) -> None:
        seen.clear()
        for pid in living_descendants(os.getpid()):
            os.kill(pid, number)

    scene.play((both_live, strike), (lambda: len(seen) >= 4 and both_live(), nothing))
    why = "nothing came for 2 s" if number is signal.SIGSTOP else f"it was killed by {number.name}"
    for name in ("camera", "microphone"):
        assert [said for said in seen if said.startswith(name)] == [f"{name} stalled: {why}", f"{name} live"]


def test_who_comes_while_the_camera_is_away_sees_the_slate_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tmp_path / "device.toml", f'source = "file"\npath = "{tmp_path / "none"}"', monkeypatch)

    def welcome(tracks: list[Track]) -> None:
        for track in tracks:
            track.viewer_joined()

    scene.play((lambda: scene.delivered, welcome), (lambda: len(scene.delivered) >= 3, nothing))
    [first, second, third] = [unit.captured_at_us / 1e6 for unit in scene.delivered[:3]]
    # Of three that are a second apart, the last comes after two; a busy machine may take a while.
    assert third - first < 1.8
    assert second - first < 0.9


@pytest.mark.parametrize("looks", (0, 1, 2, 4, 8, 16))
def test_leaving_while_the_slate_is_drawn_leaves_nothing(
    looks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tmp_path / "device.toml", f'source = "file"\npath = "{tmp_path / "none"}"', monkeypatch)
    scene.config = replace(scene.config, microphone=replace(scene.config.microphone, source="off"))
    left = iter(range(looks, -1, -1))
    scene.play((lambda: scene.says("camera") != "starting" and not next(left), nothing))
    gc.collect()  # whoever was not waited for complains now
    assert living_descendants(os.getpid()) == set()
