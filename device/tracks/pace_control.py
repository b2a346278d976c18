"""Steers a microphone's clock to ours: how far its samples are ahead of its capture times shows which is faster. Pure.

The caller measures the lead with each block, in seconds, and supplies the time. A capture time is sometimes too late,
because a read returned late, and never too early: so the greatest lead of a window counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_DEAD_BAND_S = 0.010
_WINDOW_S = 2.0
_PPM_PER_S = 80_000.0  # 25 ms ahead: 2000 ppm, which nobody hears and which takes 2 ms back in a second
_PPM_PER_S_PER_WINDOW = 4_000.0
MAX_PPM = 3_000.0  # crystals are off by 20 to 100, a bad sound card by 1000
_MIN_STEP_PPM = 10.0


@dataclass(slots=True, kw_only=True)
class PaceControl:
    """A PI controller. Until the lead leaves the dead band it does nothing, and nothing is resampled."""

    ppm: float = field(default=0.0, init=False)
    _integral_ppm: float = field(default=0.0, init=False)
    _greatest_s: float = field(default=float("-inf"), init=False)
    _window_from: float | None = field(default=None, init=False)
    _steering: bool = field(default=False, init=False)

    def interrupted(self) -> None:
        """Forget the present window, because leads before and after a pause do not belong together."""
        self._greatest_s, self._window_from = float("-inf"), None

    def measured(self, lead_s: float, now: float) -> float | None:
        """Take one measurement; return the pace in ppm (positive: the source is too fast) if it has to change."""
        if self._window_from is None:
            self._window_from = now
        self._greatest_s = max(self._greatest_s, lead_s)
        if now - self._window_from < _WINDOW_S:
            return None
        error_s = self._greatest_s
        self._greatest_s, self._window_from = float("-inf"), now
        self._steering = self._steering or abs(error_s) > _DEAD_BAND_S
        if not self._steering:
            return None
        self._integral_ppm = _clamped(self._integral_ppm + _PPM_PER_S_PER_WINDOW * error_s)
        wanted = _clamped(self._integral_ppm + _PPM_PER_S * error_s)
        if abs(wanted - self.ppm) < _MIN_STEP_PPM:
            return None
        self.ppm = wanted
        return wanted


def _clamped(ppm: float) -> float:
    return max(-MAX_PPM, min(MAX_PPM, ppm))
