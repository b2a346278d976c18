"""A ladder, and targets that it gets at the rate of units, in virtual time."""

from __future__ import annotations

from itertools import pairwise

from device.tracks.ladder import Ladder, Rung, rungs

FLOOR, CEILING = 60_000, 2_500_000
TICK_S = 1 / 30

Targets = list[tuple[float, int]]  # (start in seconds, bits per second)


def ladder(
    *, width: int = 1280, height: int = 720, fps: int = 30, floor: int = FLOOR, ceiling: int = CEILING
) -> Ladder:
    return Ladder(rungs=rungs(width=width, height=height, fps=fps, floor_bps=floor, ceiling_bps=ceiling))


def steady(policy: Ladder, target_bps: int, begin: float, end: float) -> list[tuple[float, Rung]]:
    """Feed one target at the rate of units; return the changes."""
    changes = []
    for tick in range(round((end - begin) / TICK_S)):
        now = begin + tick * TICK_S
        policy.update(target_bps, now)
        if rung := policy.step(now):
            changes.append((now, rung))
    return changes


def replay(policy: Ladder, targets: Targets, *, until: float) -> list[tuple[float, Rung]]:
    edges = [*targets, (until, 0)]
    return [change for (begin, target), (end, _) in pairwise(edges) for change in steady(policy, target, begin, end)]
