"""Hands out the units of a burst a few milliseconds apart."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from device.media.picture import AccessUnit

# libwebrtc drops one of two frames that wait for its encoder's thread (VideoStreamEncoder::OnFrame) without an error;
# the frames that depend on it cannot be decoded until the next key frame. So the units of a burst are fed one by one.
_SPACING_S = 0.008
_MAX_WAITING = 30
_DROPS_LOG_INTERVAL_S = 10.0


class SpacedUnits:
    """A short queue. If it is full, all units in it are dropped, and `on_dropped` is called."""

    def __init__(
        self, feed: Callable[[AccessUnit], None], *, on_dropped: Callable[[], None], log: FilteringBoundLogger
    ) -> None:
        self.dropped = 0
        self._feed, self._on_dropped, self._log = feed, on_dropped, log
        self._waiting: deque[AccessUnit] = deque()
        self._spacing_s, self._next_at = _SPACING_S, 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._unlogged, self._log_drops_at = 0, 0.0

    def limit_spacing(self, *, fps: int) -> None:
        """Use half a period at most, or a burst at 120 fps would never end."""
        self._spacing_s = min(_SPACING_S, 0.5 / fps)

    def deliver(self, unit: AccessUnit) -> None:
        """Take one access unit; feed it at once unless the last one was fed just now."""
        if len(self._waiting) >= _MAX_WAITING:
            self._drop_waiting(time.monotonic())
        self._waiting.append(unit)
        if self._timer is None:
            self._feed_waiting()

    def forget(self) -> None:
        """Drop what still waits to be fed."""
        self._waiting.clear()

    def close(self) -> None:
        """Feed no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _drop_waiting(self, now: float) -> None:
        self._unlogged += len(self._waiting)
        self.dropped += len(self._waiting)
        self.forget()
        if now >= self._log_drops_at:
            self._log_drops_at = now + _DROPS_LOG_INTERVAL_S
            cause = "more units than the SDK can be fed with"
            self._log.info("camera.units_dropped", units=self._unlogged, cause=cause)
            self._unlogged = 0
        self._on_dropped()

    def _feed_waiting(self) -> None:
        self._timer = None
        now = time.monotonic()
        if now >= self._next_at and self._waiting:
            self._next_at = now + self._spacing_s
            self._feed(self._waiting.popleft())
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(self._next_at - now, self._feed_waiting)
