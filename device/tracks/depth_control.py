"""Steers a microphone's clock to ours: the depth of the queue between them shows which one is faster. Pure.

The caller measures the depth before each block, in seconds, and supplies the time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

TARGET_S = 0.025  # enough for a wake-up that is late by one block; more would add latency
_DEAD_BAND_S = 0.010
_WINDOW_S = 2.0
_PPM_PER_S_OF_DEPTH = 40_000.0  # 25 ms too deep: 1000 ppm, which nobody hears and which empties 1 ms a second
_PPM_PER_S_PER_WINDOW = 4_000.0
MAX_PPM = 3_000.0  # crystals are off by 20 to 100, a bad sound card by 1000
_MIN_STEP_PPM = 10.0


@dataclass(slots=True, kw_only=True)
class DepthControl:
    """A PI controller. Until the depth leaves the dead band it does nothing, and nothing is resampled."""

    ppm: float = field(default=0.0, init=False)
    _integral_ppm: float = field(default=0.0, init=False)
    _sum_s: float = field(default=0.0, init=False)
    _count: int = field(default=0, init=False)
    _window_from: float | None = field(default=None, init=False)
    _steering: bool = field(default=False, init=False)

    def measured(self, depth_s: float, now: float) -> float | None:
        """Take one measurement; return the pace in ppm (positive: the source is too fast) if it has to change."""
        if self._window_from is None:
            self._window_from = now
        self._sum_s += depth_s
        self._count += 1
        if now - self._window_from < _WINDOW_S:
            return None
        error_s = self._sum_s / self._count - TARGET_S
        self._sum_s, self._count, self._window_from = 0.0, 0, now
        self._steering = self._steering or abs(error_s) > _DEAD_BAND_S
        if not self._steering:
            return None
        self._integral_ppm = _clamped(self._integral_ppm + _PPM_PER_S_PER_WINDOW * error_s)
        wanted = _clamped(self._integral_ppm + _PPM_PER_S_OF_DEPTH * error_s)
        if abs(wanted - self.ppm) < _MIN_STEP_PPM:
            return None
        self.ppm = wanted
        return wanted


def _clamped(ppm: float) -> float:
    return max(-MAX_PPM, min(MAX_PPM, ppm))
