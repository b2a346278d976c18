"""The ladder with targets recorded from real links (data/README.md). Tuned with some, tested with the others."""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path

import pytest

from device.tracks.ladder import DOWN_S, Rung
from tests.unit.targets import TICK_S, Targets, ladder, replay

_DATA = Path(__file__).parent / "data"
TUNED, CHECKED = ("300", "2500-300-2500"), ("300-1200", "300-2500")
_AFTER_S = 15.0

Change = tuple[float, Rung]


def recorded(name: str) -> Targets:
    with (_DATA / f"{name}.csv").open() as file:
        return [(float(row["seconds"]), int(row["target_bps"])) for row in csv.DictReader(file)]


def replayed(targets: Targets, *, last_bps: int) -> list[Change]:
    """Replay the targets, and then a steady one; return the changes."""
    policy = ladder()
    end = targets[-1][0] + 1
    return [(0.0, policy.rung), *replay(policy, [*targets, (end, last_bps)], until=end + _AFTER_S)]


@pytest.mark.parametrize("name", TUNED + CHECKED)
def test_few_changes_each_with_a_reason(name: str) -> None:
    targets = recorded(name)
    changes = replayed(targets, last_bps=2_500_000)
    assert 3 <= len(changes) <= 5  # the start, one or two steps down, and up again in one or two steps
    for (sooner, _), (later, _) in pairwise(changes):
        assert later - sooner >= DOWN_S - TICK_S
    assert min(rung.height for _, rung in changes) <= 360
    assert changes[-1][1] == changes[0][1]


@pytest.mark.parametrize("name", TUNED + CHECKED)
def test_a_target_that_is_too_low_is_followed_within_seconds(name: str) -> None:
    """If the target stays below half of what a rung needs, the rung changes within 3 s."""
    targets = recorded(name)
    changes = [*replayed(targets, last_bps=targets[-1][1]), (targets[-1][0], None)]
    for (begin, rung), (end, _) in pairwise(changes):
        assert rung is not None
        low = [at for at, target in targets if begin <= at <= end and target < rung.down_bps / 2]
        high = [at for at, target in targets if at <= end and target >= rung.down_bps / 2]
        since = [at for at in low if not any(at < other for other in high)]
        assert not since or end - since[0] <= 3.0


@pytest.mark.parametrize("name", TUNED + CHECKED)
def test_the_old_size_returns_soon_after_the_target(name: str) -> None:
    targets = recorded(name)
    [*_, (at, rung)] = replayed(targets, last_bps=2_500_000)
    assert (rung.height, rung.fps) == (720, 30)
    assert at - (targets[-1][0] + 1) <= 10
