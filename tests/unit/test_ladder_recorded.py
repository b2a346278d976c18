"""The ladder on targets that were recorded from real links (data/README.md). Tuned on some, checked on the others."""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path

import pytest

from device.tracks.ladder import DOWN_S, Ladder, Rung, rungs

_DATA = Path(__file__).parent / "data"
TUNED, CHECKED = ("300", "2500-300-2500"), ("300-1200", "300-2500")
_TICK_S = 1 / 30
_AFTER_S = 15.0

Change = tuple[float, Rung]


def recorded(name: str) -> list[tuple[float, int]]:
    with (_DATA / f"{name}.csv").open() as file:
        return [(float(row["seconds"]), int(row["target_bps"])) for row in csv.DictReader(file)]


def replayed(targets: list[tuple[float, int]], *, last_bps: int) -> list[Change]:
    """Replay it, and then a steady target; return the changes."""
    ladder = Ladder(rungs=rungs(width=1280, height=720, fps=30, floor_bps=60_000, ceiling_bps=2_500_000))
    changes: list[Change] = [(0.0, ladder.rung)]
    end = targets[-1][0] + 1
    edges = [*targets, (end, last_bps), (end + _AFTER_S, 0)]
    for (begin, target), (until, _) in pairwise(edges):
        for tick in range(round((until - begin) / _TICK_S)):
            now = begin + tick * _TICK_S
            ladder.saw(target, now)
            if rung := ladder.step(now):
                changes.append((now, rung))
    return changes


@pytest.mark.parametrize("name", TUNED + CHECKED)
def test_few_changes_each_with_a_reason(name: str) -> None:
    targets = recorded(name)
    changes = replayed(targets, last_bps=2_500_000)
    assert 3 <= len(changes) <= 5  # the beginning, down once or twice, and up again in one or two steps
    for (sooner, _), (later, _) in pairwise(changes):
        assert later - sooner >= DOWN_S - _TICK_S
    assert min(rung.height for _, rung in changes) <= 360
    assert changes[-1][1] == changes[0][1]


@pytest.mark.parametrize("name", TUNED + CHECKED)
def test_too_little_is_borne_for_some_seconds_only(name: str) -> None:
    """Whenever the target stays below half of what the pictures need, they are others within 3 s."""
    targets = recorded(name)
    changes = [*replayed(targets, last_bps=targets[-1][1]), (targets[-1][0], None)]
    for (begin, rung), (end, _) in pairwise(changes):
        assert rung is not None
        low = [at for at, target in targets if begin <= at <= end and target < rung.down_bps / 2]
        high = [at for at, target in targets if at <= end and target >= rung.down_bps / 2]
        since = [at for at in low if not any(at < other for other in high)]
        assert not since or end - since[0] <= 3.0


@pytest.mark.parametrize("name", TUNED + CHECKED)
def test_the_old_picture_is_back_soon_after_the_target_is(name: str) -> None:
    targets = recorded(name)
    [*_, (at, rung)] = replayed(targets, last_bps=2_500_000)
    assert (rung.height, rung.fps) == (720, 30)
    assert at - (targets[-1][0] + 1) <= 10
