"""When a source counts as fresh, and when as dead. Pure: the caller brings the time, in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Freshness:
    """A source is dead after `stall_s` without a unit or block, or `startup_s` without the first."""

    stall_s: float
    startup_s: float
    started_at: float
    _first_at: float | None = field(default=None, init=False)
    _last_at: float = field(default=0.0, init=False)

    def saw(self, now: float) -> bool:
        """Note a unit or block; say whether it was the first."""
        first = self._first_at is None
        if self._first_at is None:
            self._first_at = now
        self._last_at = now
        return first

    def greeted(self, now: float, *, within_s: float) -> None:
        """Note that the source is open: the first unit or block is now due within so many seconds."""
        if self._first_at is None:
            self.started_at, self.startup_s = now, within_s

    def dead_at(self) -> float:
        """Return the moment at which the source counts as dead if nothing comes before."""
        if self._first_at is None:
            return self.started_at + self.startup_s
        return self._last_at + self.stall_s

    def fresh_for_s(self) -> float:
        """Return for how long the source has delivered."""
        return 0.0 if self._first_at is None else self._last_at - self._first_at
