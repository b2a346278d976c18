"""`make soak`: devices that nobody watches, for SOAK_WATCH_S seconds (600) each."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.faults import unwatched_rows
from tests.faults.unwatched import PAUSE, SLEEP

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.ground import Ground

_EACH_S = float(os.environ.get("SOAK_WATCH_S", "600"))
_EVERY_S = 20.0
_FIRST_S, _OPENS_S = 0.5, 2.0
_TOGGLE_S = 0.6

pytestmark = pytest.mark.timeout(3 * _EACH_S + 600)


def test_nobody_watches(ground: Ground, tmp_path: Path) -> None:
    ground.run(unwatched_rows.nobody_watches(ground, tmp_path, each_s=_EACH_S))


@pytest.mark.parametrize("mode", (PAUSE, SLEEP))
def test_a_viewer_now_and_then(ground: Ground, tmp_path: Path, mode: str) -> None:
    times = max(1, round(_EACH_S / _EVERY_S))
    within_s = {PAUSE: _FIRST_S, SLEEP: _OPENS_S}[mode]
    scene = unwatched_rows.a_viewer_now_and_then(
        ground, tmp_path, mode, times=times, every_s=_EVERY_S, within_s=within_s
    )
    ground.run(scene)


def test_subscription_toggled(ground: Ground, tmp_path: Path) -> None:
    times = max(1, round(min(_EACH_S, 60) / _TOGGLE_S))
    ground.run(unwatched_rows.subscription_toggled(ground, tmp_path, times=times, every_s=_TOGGLE_S))


def test_viewers_leave(ground: Ground, tmp_path: Path) -> None:
    ground.run(unwatched_rows.viewers_leave(ground, tmp_path))


def test_faults_while_nobody_watches(ground: Ground, tmp_path: Path) -> None:
    ground.run(
        unwatched_rows.faults(ground, tmp_path, times=max(1, round(_EACH_S / 60)), first_s=_FIRST_S, opens_s=_OPENS_S)
    )
