"""Whether the bitrate allows another picture. Pure; times in microseconds."""

from __future__ import annotations

from dataclasses import dataclass, field

_US = 1_000_000
# libwebrtc drops units of a sender that is half a second ahead of its target (FrameDropper), and all that build on them
# are garbage until the next key frame. A picture that is left out before it is encoded harms none. Half of that, for
# the next picture has a size of its own.
_ALLOWED_S = 0.25
# So that no pause is longer than the difference, whatever a key frame has cost.
_MOST_S = 0.9
LONGEST_PAUSE_S = _MOST_S - _ALLOWED_S


@dataclass(slots=True)
class BitrateBudget:
    """How far what was sent is ahead of the bitrate, in seconds of the bitrate that was in force then."""

    _ahead_s: float = field(default=0.0, init=False)
    _at_us: int | None = field(default=None, init=False)

    def allows(self, now_us: int) -> bool:
        """Say whether another picture may be encoded now."""
        if self._at_us is not None:
            self._ahead_s = max(0.0, self._ahead_s - (now_us - self._at_us) / _US)
        self._at_us = now_us
        return self._ahead_s <= _ALLOWED_S

    def add(self, size_bytes: int, *, bitrate_bps: int) -> None:
        """Note a unit that was sent."""
        self._ahead_s = min(_MOST_S, self._ahead_s + 8 * size_bytes / bitrate_bps)
