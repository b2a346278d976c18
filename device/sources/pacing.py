"""Computes when frames are due. Pure, except for `sleep_until_us`. Counts from one start, so errors do not add up."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_US = 1_000_000
_SAME_RATE = 0.97  # of a frame period


@dataclass(slots=True, kw_only=True)
class Pacing:
    """Ticks at a fixed rate, starting at `started_at_us`. Missed ticks are skipped and counted."""

    rate: float
    started_at_us: int
    missed: int = field(default=0, init=False)
    _next: int = field(default=0, init=False)

    def due_at_us(self, tick: int) -> int:
        return self.started_at_us + round(tick * _US / self.rate)

    def take(self, now_us: int) -> tuple[int, int]:
        """Return the next tick and when it is due. Ticks that are more than one period late are skipped."""
        late = int((now_us - self.due_at_us(self._next)) * self.rate / _US)
        if late > 0:
            self.missed += late
            self._next += late
        tick = self._next
        self._next += 1
        return tick, self.due_at_us(tick)


def sleep_until_us(due_at_us: int) -> None:
    """Sleep until a time on the monotonic clock, in microseconds."""
    left_s = due_at_us / _US - time.monotonic()
    if left_s > 0:
        time.sleep(left_s)


# After a start, decoding from the previous key frame usually reaches real time within a second; the first quarter of a
# second shows whether it will. After that, late frames are shown at this interval at most, so that decoding catches up.
_CATCH_UP_US, _MEASURED_US, _LATE_INTERVAL_US = 1_000_000, 250_000, 100_000


@dataclass(slots=True, kw_only=True)
class LateFrames:
    """Decides which late frames are shown: fewer than there are, but never none."""

    period_us: int
    _first: tuple[int, int] | None = field(default=None, init=False)
    _shown_at_us: int | None = field(default=None, init=False)

    def is_late(self, due_us: int, now_us: int) -> bool:
        return due_us < now_us - self.period_us

    def admits(self, due_us: int, now_us: int) -> bool:
        """Return whether a frame is shown; if so, record it."""
        if self.is_late(due_us, now_us):
            if self._shown_at_us is None:
                if self._will_be_in_time(due_us, now_us):
                    return False
            elif now_us - self._shown_at_us < _LATE_INTERVAL_US:
                return False
        self._shown_at_us = max(due_us, now_us)
        return True

    def _will_be_in_time(self, due_us: int, now_us: int) -> bool:
        """Return whether decoding, at its speed so far, reaches real time within `_CATCH_UP_US`."""
        first_due_us, first_at_us = self._first = self._first or (due_us, now_us)
        spent_us = now_us - first_at_us
        gained_us = due_us - first_due_us - spent_us
        return spent_us < _MEASURED_US or (now_us - due_us) * spent_us <= gained_us * (_CATCH_UP_US - spent_us)


@dataclass(slots=True, kw_only=True)
class RateLimit:
    """Admits at most `fps` frames a second from a source that has a frame rate of its own."""

    fps: float
    _seen_us: float = field(default=float("-inf"), init=False)
    _next_us: float = field(default=float("-inf"), init=False)

    def admits(self, captured_at_us: int) -> bool:
        """Return whether the frame with this capture time is used."""
        period_us = _US / self.fps
        # A sensor that is set to our rate deviates by a little: use each of its frames.
        at_our_rate = captured_at_us - self._seen_us >= _SAME_RATE * period_us
        self._seen_us = captured_at_us
        if not at_our_rate and captured_at_us < self._next_us - period_us / 4:
            return False
        self._next_us = max(self._next_us, captured_at_us - period_us / 4) + period_us
        self._next_us = min(self._next_us, captured_at_us + period_us * 5 / 4)
        return True


def missed_frames(since_us: int, metadata: Mapping[str, Any]) -> int:
    """Return how many frames were lost since the previous one: picamera2 drops frames that are not fetched."""
    period_us = int(metadata.get("FrameDuration") or 0)
    return max(0, round(since_us / period_us) - 1) if period_us > 0 else 0
