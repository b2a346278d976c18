"""The clocks of this package: CLOCK_MONOTONIC everywhere, the epoch where a viewer needs it. Microseconds."""

from __future__ import annotations

import time
from pathlib import Path


def monotonic_us() -> int:
    return time.monotonic_ns() // 1000


def epoch_of_us(captured_at_us: int) -> int:
    """Return the wall-clock time, in microseconds since the epoch, of a moment on the monotonic clock."""
    return captured_at_us + (time.time_ns() - time.monotonic_ns()) // 1000


def monotonic_of_boottime_us(boottime_ns: int) -> int:
    """Return the monotonic time of a moment on CLOCK_BOOTTIME, which goes on while the machine sleeps."""
    return (boottime_ns + time.monotonic_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)) // 1000


def older_than_this_package(epoch_s: float) -> bool:
    """Say whether a time is before this package was built or installed: a board without a clock starts in 1970.

    Only such a clock is certainly wrong; any other is taken as it is, for a closed network has no time server.
    """
    return epoch_s < Path(__file__).stat().st_mtime
