"""What happens again and again is told once, and then with a count. Pure: the caller brings the time."""

from __future__ import annotations

from dataclasses import dataclass, field

_TELL_AGAIN_S = 600.0


@dataclass(slots=True)
class LogThrottle:
    """Says when one and the same event is worth another line."""

    _what: str = field(default="", init=False)
    _count: int = field(default=0, init=False)
    _told_at: float = field(default=float("-inf"), init=False)

    def count_to_log(self, what: str, now: float) -> int:
        """Return how often this has happened in a row where it should be told now, else 0.

        Told are the first time, each doubling of the count, and once in 10 minutes.
        """
        if what != self._what:
            self._what, self._count, self._told_at = what, 0, float("-inf")
        self._count += 1
        doubled = self._count & (self._count - 1) == 0
        if not doubled and now - self._told_at < _TELL_AGAIN_S:
            return 0
        self._told_at = now
        return self._count
