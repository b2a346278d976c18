"""The times of packets and frames in a file, also if the file stores none. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fractions import Fraction

_US = 1_000_000
_BURST = 5  # intervals; fewer would take the rounding of times for a rate
_SAMPLED = 5000


@dataclass(slots=True, kw_only=True)
class StoredTimes:
    """Times since the file's beginning, in microseconds.

    Elementary streams store no times, and AVI only those of decoding. If both are missing, each packet or frame begins
    when the previous one ends.
    """

    origin_us: int
    period_us: int
    next_us: int = 0
    by_decoding: bool = False  # AVI: the times of presentation are FFmpeg's guesses

    def of(self, stored: Any, *, duration_us: int = 0) -> int:
        """Return the time of a packet or frame; it lasts for this long if it does not say so itself."""
        ticks = stored.dts if self.by_decoding or stored.pts is None else stored.pts
        # Whole numbers: at 30 pictures a second, fractions cost as much as all else that is done for a picture.
        base: Fraction | None = stored.time_base
        tick_us, divisor = (base.numerator * _US, base.denominator) if base else (0, 1)
        at_us = self.next_us if ticks is None else (2 * ticks * tick_us + divisor) // (2 * divisor) - self.origin_us
        duration = getattr(stored, "duration", None) or 0  # frames of PyAV before 15 have none
        own_us = duration * tick_us // divisor
        self.next_us = at_us + (own_us or duration_us or self.period_us)
        return at_us


def period_us(stream: Any) -> int:
    """Return how long a picture is shown if the file does not say so."""
    rate: Fraction | None = getattr(stream, "guessed_rate", None) or getattr(stream, "average_rate", None)
    return int(_US / rate) if rate else _US // 25


@dataclass(slots=True)
class BurstRate:
    """The highest rate of pictures in a file of variable frame rate."""

    _times_us: list[int] = field(default_factory=list, init=False)

    def add(self, at_us: int) -> None:
        """Take the time of one picture."""
        if len(self._times_us) < _SAMPLED:
            self._times_us.append(at_us)

    @property
    def fps(self) -> float | None:
        """Return pictures a second; None if there are too few."""
        times = sorted(set(self._times_us))  # packets come in the order of decoding
        spans = [later - sooner for sooner, later in zip(times, times[_BURST:], strict=False)]
        return _BURST * _US / min(spans) if spans else None
