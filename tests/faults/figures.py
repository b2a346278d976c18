"""Measurements as numbers and as table cells. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NEVER = math.inf


@dataclass(slots=True)
class Figures:
    """Seconds until a medium returned, one per device and repetition; infinite if it did not."""

    seconds: list[float] = field(default_factory=list)

    def p(self, percent: float) -> float:
        """Return the percentile by the nearest rank; infinite without values."""
        if not self.seconds:
            return NEVER
        return sorted(self.seconds)[max(0, math.ceil(percent / 100 * len(self.seconds)) - 1)]

    @property
    def worst(self) -> float:
        return max(self.seconds, default=NEVER)

    def __str__(self) -> str:
        return " / ".join(as_text(each) for each in (self.p(50), self.p(95), self.worst))


def as_text(seconds: float) -> str:
    return "never" if seconds == NEVER else f"{seconds:.2f}"


def counted(events: Iterable[tuple[str, int]]) -> str:
    """Return how often each event was seen, as a table cell."""
    return "; ".join(f"{name} {count}" for name, count in events)


def longest_gap(moments: Sequence[float], begin: float, end: float) -> float:
    """Return the longest time between `begin` and `end` without any of the ascending times, in seconds.

    A gap across `begin` counts from the last time before it.
    """
    before = [each for each in moments if each <= begin][-1:] or [begin]
    within = [each for each in moments if begin < each <= end]
    return max(later - earlier for earlier, later in pairwise([*before, *within, end]))


def at_full_rate(moments: Sequence[float], since: float, *, fps: float, over_s: float = 1.0) -> float:
    """Return the seconds from `since` to the first second with nine tenths of the expected pictures."""
    needed = math.floor(0.9 * fps * over_s)
    later = [each for each in moments if each >= since]
    for number, first in enumerate(later):
        enough = number + needed - 1
        if enough < len(later) and later[enough] - first <= over_s:
            return first - since
    return NEVER
