"""A time on both clocks: the monotonic one for durations, the wall clock for capture times in pictures."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """`at` in seconds of the monotonic clock, `epoch_us` in microseconds of the wall clock."""

    at: float
    epoch_us: int

    @classmethod
    def now(cls) -> Moment:
        return cls(at=time.monotonic(), epoch_us=time.time_ns() // 1000)
