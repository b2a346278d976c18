"""When the next key frame of a source is due. Pure, but for asking the source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Viewers have to get a picture in this time: a key frame that is due sooner is awaited.
_SOON_US = 1_000_000
# The same for a late viewer, whose join has taken a part of it already.
LATE_VIEWER_US = 600_000
_TOLERANCE_US = 150_000  # of the interval, and of the time of arrival
_ASSUMED_INTERVAL_US = 2_000_000  # until it has been measured; a usual default of encoders
_ANSWERED_US = 300_000  # a camera that can be asked sends a key frame within this time


@dataclass(slots=True, kw_only=True)
class KeyFrames:
    """The interval of a source's key frames, by its last ones. `ask` returns False if the source cannot be asked."""

    ask: Callable[[], bool]
    _came_us: int | None = field(default=None, init=False)
    _interval_us: int = field(default=_ASSUMED_INTERVAL_US, init=False)
    _asked_us: int | None = field(default=None, init=False)

    def came(self, now_us: int) -> None:
        """Note a key frame."""
        if self._came_us is not None:
            self._interval_us = now_us - self._came_us
        self._came_us, self._asked_us = now_us, None

    def fresh(self, now_us: int) -> bool:
        """Return whether the last key frame may still stand for the picture; ask for a newer one if it may not."""
        return (self._came_us is not None and now_us - self._came_us <= _SOON_US) or self.worth_awaiting(now_us)

    def due_soon(self, now_us: int, *, within_us: int = _SOON_US) -> bool:
        """Return whether a key frame will come by itself within this time."""
        if self._came_us is None:
            return False
        return -_TOLERANCE_US < self._came_us + self._interval_us - now_us <= within_us

    def worth_awaiting(self, now_us: int, *, within_us: int = _SOON_US) -> bool:
        """Return whether the next key frame is worth waiting for. The source is asked for it once, if it can be."""
        if self._asked_us is None and self.ask():
            self._asked_us = now_us
        asked = self._asked_us is not None and now_us - self._asked_us < _ANSWERED_US
        return asked or self.due_soon(now_us, within_us=within_us)
