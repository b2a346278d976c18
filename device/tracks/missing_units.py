"""Counts units that the SDK was fed and has not sent. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

_SAMPLES, _MIN_LOST = 3, 3


@dataclass(slots=True)
class MissingUnits:
    """Counts units that the SDK was fed and has not sent.

    The two counts are not taken at the same moment: a unit is missing if three samples in a row lack it, and only three
    or more count, because one sample may be wrong by two.
    """

    _missing: int | None = field(default=None, init=False)
    _samples: tuple[int, ...] = field(default=(), init=False)

    def update(self, *, fed: int, sent: int) -> int:
        """Return how many more units are missing than at the last result above 0.

        The first units of a publication are lost while the SDK starts it; they do not count.
        """
        if not sent:
            return 0
        self._samples = (*self._samples, fed - sent)[-_SAMPLES:]
        at_least = min(self._samples)
        if self._missing is None or at_least < self._missing or len(self._samples) < _SAMPLES:
            self._missing = at_least
            return 0
        lost = at_least - self._missing
        if lost < _MIN_LOST:
            return 0
        self._missing = at_least
        return lost
