"""Decides when this process executes itself again because of its memory. Pure: the caller supplies time and memory.

Times are seconds since this process began or last executed itself, memory is in megabytes.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

BASELINE_S = 300.0
_TIMES, _AT_LEAST_MB = 1.5, 60.0
_URGENT = 2.0  # times the limit
# The least time between two executions. It doubles while they follow each other, so that they cannot become a loop.
_FIRST_S, _MOST_S, _CALM_S = 600.0, 3600.0, 6 * 3600.0


class Moment(enum.Enum):
    """What viewers would notice of an execution now."""

    AWAY = "outside of the room"  # and about to join it
    ALONE = "nobody else in the room"
    WATCHED = "others in the room"
    BUSY = "joining, or outside on purpose"  # a join cannot be cancelled, and a process that begins does not wait


class Files(enum.Enum):
    """The configuration's files, which the next execution puts into effect."""

    IN_EFFECT = "in effect"
    CHANGED = "changed since"
    UNUSABLE = "invalid, or not in effect because of what they did"


@dataclass(slots=True, kw_only=True)
class MemoryPolicy:
    """`configured` is "auto", 0 for never, or the limit. `times`: how many executions in a row led to this process."""

    configured: int | str
    times: int = 0
    baseline_mb: float | None = field(default=None, init=False)
    _newest_mb: float = field(default=0.0, init=False)
    _before_mb: float = field(default=0.0, init=False)

    @property
    def steady_mb(self) -> float:
        """The smaller of the two newest samples: what a session leaves for a moment is no reason."""
        return min(self._newest_mb, self._before_mb)

    @property
    def limit_mb(self) -> float | None:
        """The limit; None while it is unknown, or if there is none."""
        if self.configured == 0 or self.baseline_mb is None:
            return None
        if isinstance(self.configured, int) and not self.too_low:
            return self.configured
        return max(_TIMES * self.baseline_mb, self.baseline_mb + _AT_LEAST_MB)

    @property
    def too_low(self) -> bool:
        """Whether the configured limit is below what the process needs; the automatic one is used instead."""
        if not isinstance(self.configured, int) or self.baseline_mb is None:
            return False
        return 0 < self.configured <= self.baseline_mb

    def sample(self, memory_mb: float, *, at_s: float) -> None:
        """Note how much memory the process has."""
        self._before_mb, self._newest_mb = self._newest_mb, memory_mb
        if self.baseline_mb is None and at_s >= BASELINE_S:
            self.baseline_mb = memory_mb

    def due(self, moment: Moment, *, at_s: float, files: Files = Files.IN_EFFECT) -> bool:
        """Return whether to execute again now."""
        limit_mb = self.limit_mb
        if limit_mb is None or moment is Moment.BUSY or files is Files.UNUSABLE:
            return False
        if at_s < min(_MOST_S, _FIRST_S * 2.0 ** min(self.times, 16)):
            return False
        waits = moment is Moment.WATCHED or files is Files.CHANGED
        return self.steady_mb > limit_mb * (_URGENT if waits else 1)

    def times_after(self, at_s: float) -> int:
        """Return `times` for the process that follows."""
        return 0 if at_s >= _CALM_S else self.times + 1
