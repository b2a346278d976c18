"""Computes delays between attempts. Pure: the caller supplies time and randomness."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True, kw_only=True)
class Backoff:
    """Full-jitter exponential backoff: each delay is drawn from 0 to min(cap, base * 2^n).

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. It is reset after an attempt that worked for
    `reset_after_s`.
    """

    base_s: float
    cap_s: float
    reset_after_s: float
    uniform: Callable[[float, float], float]
    failures: int = field(default=0, init=False)

    def next_delay_s(self, *, went_well_for_s: float) -> float:
        """Return the seconds to wait after an attempt that ended, having worked for `went_well_for_s`."""
        if went_well_for_s >= self.reset_after_s:
            self.failures = 0
        # 2**16 is above any cap; without a bound the power would grow for months.
        ceiling = min(self.cap_s, self.base_s * 2.0 ** min(self.failures, 16))
        self.failures += 1
        return self.uniform(0.0, ceiling)
