"""When the next frame is due. Pure: counts from one start, so that errors do not add up."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

_US = 1_000_000
_OWN_RHYTHM = 0.97


@dataclass(slots=True, kw_only=True)
class Pacing:
    """Ticks of a fixed rate from `started_at_us` on; ticks that were missed are skipped and counted."""

    rate: float
    started_at_us: int
    missed: int = field(default=0, init=False)
    _next: int = field(default=0, init=False)

    def due_at_us(self, tick: int) -> int:
        return self.started_at_us + round(tick * _US / self.rate)

    def take(self, now_us: int) -> tuple[int, int]:
        """Return the next tick and when it is due, leaving out those that are over by more than one period."""
        late = int((now_us - self.due_at_us(self._next)) * self.rate / _US)
        if late > 0:
            self.missed += late
            self._next += late
        tick = self._next
        self._next += 1
        return tick, self.due_at_us(tick)


def sleep_until_us(due_at_us: int) -> None:
    """Sleep until a moment on the monotonic clock, in microseconds."""
    left_s = due_at_us / _US - time.monotonic()
    if left_s > 0:
        time.sleep(left_s)


# At the start, decoding from the key frame before the running place takes less than a second as a rule; a quarter shows
# whether it will. Later, late frames are shown no closer together than this: what is left out is caught up.
_PATIENCE_US, _MEASURED_US, _LATE_APART_US = 1_000_000, 250_000, 100_000


@dataclass(slots=True, kw_only=True)
class LateFrames:
    """Which frames are shown although they are over: fewer than there are, never none."""

    period_us: int
    _first: tuple[int, int] | None = field(default=None, init=False)
    _shown_at_us: int | None = field(default=None, init=False)

    def is_late(self, due_us: int, now_us: int) -> bool:
        return due_us < now_us - self.period_us

    def admits(self, due_us: int, now_us: int) -> bool:
        """Say whether a frame is shown, and note that it is."""
        if self.is_late(due_us, now_us):
            if self._shown_at_us is None:
                if self._will_be_in_time(due_us, now_us):
                    return False
            elif now_us - self._shown_at_us < _LATE_APART_US:
                return False
        self._shown_at_us = max(due_us, now_us)
        return True

    def _will_be_in_time(self, due_us: int, now_us: int) -> bool:
        """Say whether decoding reaches the running place within its second, as fast as it has been so far."""
        first_due_us, first_at_us = self._first = self._first or (due_us, now_us)
        spent_us = now_us - first_at_us
        gained_us = due_us - first_due_us - spent_us
        return spent_us < _MEASURED_US or (now_us - due_us) * spent_us <= gained_us * (_PATIENCE_US - spent_us)


@dataclass(slots=True, kw_only=True)
class RateLimit:
    """Lets through at most `fps` frames a second of a source that has a rhythm of its own."""

    fps: float
    _seen_us: float = field(default=float("-inf"), init=False)
    _next_us: float = field(default=float("-inf"), init=False)

    def admits(self, captured_at_us: int) -> bool:
        """Say whether the frame of this capture time is to be used."""
        period_us = _US / self.fps
        # A sensor set to our rate is off by a little: it keeps its rhythm, and loses no frame now and then for it.
        own_rhythm = captured_at_us - self._seen_us >= _OWN_RHYTHM * period_us
        self._seen_us = captured_at_us
        if not own_rhythm and captured_at_us < self._next_us - period_us / 4:
            return False
        self._next_us = max(self._next_us, captured_at_us - period_us / 4) + period_us
        self._next_us = min(self._next_us, captured_at_us + period_us * 5 / 4)
        return True
