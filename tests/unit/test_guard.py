"""The guard over changes, in virtual time: what a revert returns to, and which changes are guarded."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from device.config import loading
from device.reload import guard
from device.reload.guard import Guard
from device.reload.revert import LIVE_FOR_S
from tests.support.reload_scene import Scene, written

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from device.reload.files import Outcome
    from device.settings import Settings

_REVERT_S, _STEP_S = 60.0, 1.0


class Watched:
    """A guard over a scene, with a clock of its own."""

    def __init__(self, folder: Path) -> None:
        self.scene, self.now = Scene(folder), 1000.0
        self.reports: list[str] = []
        self.guard = Guard(
            self.scene,  # type: ignore[arg-type]
            status=self.scene,  # type: ignore[arg-type]
            probe=self.scene,  # type: ignore[arg-type]
            overrides=self.scene.overrides,
            report=self._report,
            refused=lambda error: pytest.fail(str(error)),
            clock=lambda: self.now,
        )

    def _report(self, outcome: Outcome, _text: str) -> None:
        self.reports.append(outcome.value)

    def change(self, *, fps: int, live: bool, after_s: float | None = _REVERT_S) -> Settings:
        """Put another rate into effect; return the settings before. Then the device is live, or not."""
        before, was_live = self.scene.settings, self.scene.works
        written(self.scene.path, camera=f"fps = {fps}")
        found = loading.loaded(self.scene.path, {})
        self.scene.settings = replace(before, config=found.config, layers=found.layers)
        self.scene.live = live
        self.guard.start(before, was_live=was_live, after_s=after_s, consequence=guard.DROPPED)
        return before

    def look_for(self, seconds: float, *, until: Callable[[], bool] = lambda: False) -> float:
        """Let time pass, with a look each second; return how long it took."""
        began = self.now
        while self.now < began + seconds and not until():
            self.now += _STEP_S
            asyncio.run(self.guard.look())
        return self.now - began

    @property
    def fps(self) -> int:
        return self.scene.settings.config.camera.fps


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_a_second_change_restarts_the_time_of_both_and_a_revert_returns_to_before_both(watched: Watched) -> None:
    first = watched.fps
    watched.change(fps=12, live=False)
    watched.look_for(50)
    with capture_logs() as logs:
        watched.change(fps=13, live=False)
    assert logs == []
    watched.look_for(50)
    assert (watched.fps, watched.reports) == (13, [])
    took_s = watched.look_for(50, until=lambda: bool(watched.reports))
    assert (watched.fps, watched.reports) == (first, ["reverted"])
    assert 50 + took_s <= _REVERT_S + 3 * _STEP_S


def test_a_second_change_with_which_the_device_is_live_keeps_both(watched: Watched) -> None:
    watched.change(fps=12, live=False)
    watched.look_for(50)
    watched.change(fps=13, live=True)
    watched.look_for(LIVE_FOR_S + 2 * _STEP_S)
    assert (watched.fps, watched.reports, watched.guard.watching) == (13, ["applied"], False)


def test_a_kept_change_is_what_a_revert_of_the_next_one_returns_to(watched: Watched) -> None:
    watched.change(fps=12, live=True)
    watched.look_for(10)
    assert watched.reports == ["applied"]
    watched.scene.live = False  # for a moment
    with capture_logs() as logs:
        watched.change(fps=13, live=False)
    assert logs == []
    watched.look_for(_REVERT_S + 3 * _STEP_S)
    assert (watched.fps, watched.reports) == (12, ["applied", "reverted"])


def test_a_change_right_after_a_revert_is_guarded_too(watched: Watched) -> None:
    first = watched.fps
    watched.scene.live_with = lambda _settings: False  # not yet
    watched.change(fps=12, live=False)
    watched.look_for(_REVERT_S + 3 * _STEP_S)
    assert (watched.fps, watched.scene.works) == (first, False)
    with capture_logs() as logs:
        watched.change(fps=13, live=False)
    assert logs == []
    watched.look_for(_REVERT_S + 3 * _STEP_S)
    assert (watched.fps, watched.reports) == (first, ["reverted", "reverted"])


def test_a_change_right_after_a_reload_without_a_guard_is_guarded(watched: Watched) -> None:
    watched.change(fps=12, live=False, after_s=None)
    assert not watched.guard.watching
    with capture_logs() as logs:
        watched.change(fps=13, live=False)
    assert logs == []
    watched.look_for(_REVERT_S + 3 * _STEP_S)
    assert watched.fps == 12


@pytest.mark.parametrize("after_s", (None, _REVERT_S))
def test_a_device_that_has_not_been_live_for_long_is_not_guarded(watched: Watched, after_s: float | None) -> None:
    watched.change(fps=12, live=True, after_s=after_s)
    watched.look_for(guard.SETTLES_S)
    watched.scene.live = False
    with capture_logs() as logs:
        watched.change(fps=13, live=False)
        watched.change(fps=14, live=False)
    assert [each["event"] for each in logs] == ["config.not_guarded"] * 2
    assert not watched.guard.watching
