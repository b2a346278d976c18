"""Maps the times of a network stream to the monotonic clock. Pure; all times in microseconds."""

from __future__ import annotations

from dataclasses import dataclass, field

# The fastest packet of the last one to two windows counts.
_WINDOW_US = 5_000_000
# A sender's clock is off by 20 to 100 ppm, a bad one by 500.
_MAX_RISE = 0.001
# A larger change than this is a new path or a sender that was set to another time, not drift.
_STEP_US, _RESTART_US = 500_000, 10_000_000
# A playlist's segments arrive this far ahead at most; more is a jump of the stream's own time.
_AHEAD_US = 60_000_000


@dataclass(slots=True)
class ArrivalClock:
    """Takes each packet's own time and its arrival; the packets that travelled fastest define the offset.

    Jitter only delays packets, so it does not move the mapped times. A drift of the sender's clock is followed: down
    at once, up by at most 1 ms a second.
    """

    offset_us: int | None = field(default=None, init=False)
    _current_us: int = field(default=0, init=False)
    _before_us: int = field(default=0, init=False)
    _window_from_us: int = field(default=0, init=False)
    _arrived_us: int = field(default=0, init=False)

    def arrived(self, stream_us: int, now_us: int) -> None:
        """Take a packet's own time and the time of its arrival."""
        raw_us = now_us - stream_us
        offset_us = self.offset_us
        if offset_us is None or raw_us - offset_us > _RESTART_US:
            self.offset_us = self._current_us = self._before_us = raw_us
            self._window_from_us = self._arrived_us = now_us
            return
        if now_us - self._window_from_us >= _WINDOW_US:
            self._before_us, self._current_us, self._window_from_us = self._current_us, raw_us, now_us
        self._current_us = min(self._current_us, raw_us)
        fastest_us = min(self._current_us, self._before_us)
        rise_us = fastest_us - offset_us
        if 0 < rise_us < _STEP_US:
            rise_us = min(rise_us, int((now_us - self._arrived_us) * _MAX_RISE))
        self.offset_us, self._arrived_us = offset_us + rise_us, now_us

    def captured_at_us(self, stream_us: int) -> int:
        """Return the monotonic time of a stream's time."""
        return stream_us + (self.offset_us or 0)


@dataclass(slots=True)
class Backlog:
    """Recognises what had arrived before a live stream was read: its packets are read faster than they play."""

    _before: tuple[int, int] | None = field(default=None, init=False)
    _over: bool = field(default=False, init=False)

    def has(self, stream_us: int, now_us: int) -> bool:
        """Return whether a packet is part of it; the first one that took half of its time to arrive ends it."""
        if self._over:
            return False
        if self._before is not None:
            self._over = stream_us - self._before[0] <= 2 * (now_us - self._before[1])
        self._before = (stream_us, now_us)
        return not self._over


@dataclass(slots=True)
class PlayoutClock:
    """Maps the times of a recording or a playlist, which arrives faster than it plays.

    The first packet plays at once. One that arrives after its time delays all later ones.
    """

    offset_us: int | None = field(default=None, init=False)

    def arrived(self, stream_us: int, now_us: int) -> None:
        """Take a packet's own time and the time of its arrival."""
        raw_us = now_us - stream_us
        if self.offset_us is None or raw_us > self.offset_us or self.offset_us - raw_us > _AHEAD_US:
            self.offset_us = raw_us

    def captured_at_us(self, stream_us: int) -> int:
        """Return the monotonic time at which a stream's time plays."""
        return stream_us + (self.offset_us or 0)
