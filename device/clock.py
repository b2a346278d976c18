"""Clocks: CLOCK_MONOTONIC inside the device, epoch time for viewers. In microseconds."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

_NOTABLE_OFFSET_S = 5.0


def monotonic_us() -> int:
    return time.monotonic_ns() // 1000


def epoch_of_us(captured_at_us: int) -> int:
    """Return the wall-clock time, in microseconds since the epoch, of a monotonic time."""
    return captured_at_us + (time.time_ns() - time.monotonic_ns()) // 1000


def monotonic_of_boottime_us(boottime_ns: int) -> int:
    """Return the monotonic time of a CLOCK_BOOTTIME time, which also counts while the machine is suspended."""
    return (boottime_ns + time.monotonic_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)) // 1000


@dataclass(slots=True)
class ServerClock:
    """The offset between this clock and the server's, from the newest response with a Date header."""

    offset_s: float = field(default=0.0, init=False)  # positive: this clock is ahead
    _reported_s: float = field(default=0.0, init=False)

    def saw(self, server_time_s: float, now_s: float) -> float | None:
        """Record the server's time, in epoch seconds; return the offset if it must be logged, else None.

        The header has whole seconds and the response takes time, so up to 5 s do not count as an offset.
        """
        self.offset_s = now_s - server_time_s
        notable = self.offset_s if abs(self.offset_s) > _NOTABLE_OFFSET_S else 0.0
        if abs(notable - self._reported_s) <= _NOTABLE_OFFSET_S:
            return None
        self._reported_s = notable
        return notable

    def now_s(self) -> float:
        """Return the server's current time in epoch seconds; without an offset, our own."""
        return time.time() - self.offset_s
