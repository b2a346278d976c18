"""Limits log lines of a repeated event, which then has a count. Pure: the caller supplies the time."""

from __future__ import annotations

from dataclasses import dataclass, field

_LOG_AGAIN_S = 600.0


@dataclass(slots=True)
class LogThrottle:
    """Decides when a repeated event is logged again."""

    _what: str = field(default="", init=False)
    _count: int = field(default=0, init=False)
    _logged_at: float = field(default=float("-inf"), init=False)

    def count_to_log(self, what: str, now: float) -> int:
        """Return how often this has happened in a row if it is to be logged now, else 0.

        It is logged the first time, at each doubling of the count, and once in 10 minutes.
        """
        if what != self._what:
            self._what, self._count, self._logged_at = what, 0, float("-inf")
        self._count += 1
        doubled = self._count & (self._count - 1) == 0
        if not doubled and now - self._logged_at < _LOG_AGAIN_S:
            return 0
        self._logged_at = now
        return self._count
