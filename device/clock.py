"""The clocks of this package: CLOCK_MONOTONIC everywhere, the epoch where a viewer needs it. Microseconds."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

_NOTABLE_OFFSET_S = 5.0


def monotonic_us() -> int:
    return time.monotonic_ns() // 1000


def epoch_of_us(captured_at_us: int) -> int:
    """Return the wall-clock time, in microseconds since the epoch, of a moment on the monotonic clock."""
    return captured_at_us + (time.time_ns() - time.monotonic_ns()) // 1000


def monotonic_of_boottime_us(boottime_ns: int) -> int:
    """Return the monotonic time of a moment on CLOCK_BOOTTIME, which goes on while the machine sleeps."""
    return (boottime_ns + time.monotonic_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)) // 1000


@dataclass(slots=True)
class ServerClock:
    """How far this clock is from the server's, by the newest answer of the server that told its time."""

    offset_s: float = field(default=0.0, init=False)  # positive: this clock is ahead
    _reported_s: float = field(default=0.0, init=False)

    def saw(self, server_time_s: float, now_s: float) -> float | None:
        """Note the server's time, in epoch seconds; return the offset if it is worth a report, else None.

        The header tells whole seconds, and an answer takes its time: up to 5 s are no offset.
        """
        self.offset_s = now_s - server_time_s
        notable = self.offset_s if abs(self.offset_s) > _NOTABLE_OFFSET_S else 0.0
        if abs(notable - self._reported_s) <= _NOTABLE_OFFSET_S:
            return None
        self._reported_s = notable
        return notable

    def now_s(self) -> float:
        """Return the server's time now, in epoch seconds, as far as it is known."""
        return time.time() - self.offset_s
