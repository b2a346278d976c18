"""Decides whether the bitrate allows another picture. Pure; times in microseconds."""

from __future__ import annotations

from dataclasses import dataclass, field

_US = 1_000_000
# libwebrtc drops units of a sender that is half a second ahead of its target (FrameDropper); every unit that references
# a dropped one cannot be decoded, until the next key frame. A picture dropped before it is encoded has no such effect.
# The limit is half of that time, because the next picture's size is not known.
_ENCODE_BELOW_S = 0.25
# Limits the longest pause, after a key frame of any size, to the difference.
_MAX_AHEAD_S = 0.9
LONGEST_PAUSE_S = _MAX_AHEAD_S - _ENCODE_BELOW_S


@dataclass(slots=True)
class BitrateBudget:
    """How far the sent data is ahead of the bitrate, in seconds of the bitrate at the time of sending."""

    _ahead_s: float = field(default=0.0, init=False)
    _at_us: int | None = field(default=None, init=False)

    def allows(self, now_us: int) -> bool:
        """Return whether another picture may be encoded now."""
        if self._at_us is not None:
            self._ahead_s = max(0.0, self._ahead_s - (now_us - self._at_us) / _US)
        self._at_us = now_us
        return self._ahead_s <= _ENCODE_BELOW_S

    def add(self, size_bytes: int, *, bitrate_bps: int) -> None:
        """Add a unit that was sent."""
        self._ahead_s = min(_MAX_AHEAD_S, self._ahead_s + 8 * size_bytes / bitrate_bps)
