"""Decides between day and night by the brightness of the scene. Pure: the caller supplies time, in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """It is night below one brightness and day above the other, in the unit of the brightness."""

    below: float
    above: float


@dataclass(slots=True, kw_only=True)
class NightPolicy:
    """A change is due if the brightness was beyond its threshold for `hold_s`, and the present mode lasted `min_s`."""

    hold_s: float
    min_s: float
    night: bool = field(default=False, init=False)
    _since: float = field(default=float("-inf"), init=False)
    _beyond_since: float | None = field(default=None, init=False)

    def update(self, now: float, brightness: float, thresholds: Thresholds) -> bool:
        """Note the brightness; return whether day or night has just begun, which `night` then says."""
        beyond = brightness > thresholds.above if self.night else brightness < thresholds.below
        if not beyond:
            self._beyond_since = None
            return False
        if self._beyond_since is None:
            self._beyond_since = now
        if now - self._beyond_since < self.hold_s or now - self._since < self.min_s:
            return False
        self.night, self._since, self._beyond_since = not self.night, now, None
        return True
