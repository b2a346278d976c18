"""Whether the next picture can be afforded. Pure; times in microseconds."""

from __future__ import annotations

from dataclasses import dataclass, field

_US = 1_000_000
# libwebrtc drops units of whoever sends half a second more than its target (FrameDropper), and all that build on them
# are garbage until the next key frame. A picture that is left out before it is encoded harms none. Half of that, for
# the next picture has a size of its own.
_ALLOWED_S = 0.25
# So that no pause is longer than the difference, whatever a key frame has cost.
_MOST_S = 0.9


# libwebrtc paces what it has at this many times its target (PacingController): what waits when the target falls is gone
# that much sooner than by the new target alone.
_PACING = 2.5


@dataclass(slots=True)
class Debt:
    """How far what was sent is ahead of the bitrate in force; when that falls far, what is ahead takes longer."""

    _ahead_bits: float = field(default=0.0, init=False)
    _at_us: int | None = field(default=None, init=False)
    _bitrate_bps: int = field(default=0, init=False)

    def allows(self, now_us: int, *, bitrate_bps: int) -> bool:
        """Say whether another picture may be encoded now."""
        if bitrate_bps < self._bitrate_bps:
            self._ahead_bits *= max(bitrate_bps / self._bitrate_bps, 1 / _PACING)
        self._bitrate_bps = bitrate_bps
        if self._at_us is not None:
            paid = (now_us - self._at_us) / _US * bitrate_bps
            self._ahead_bits = min(max(0.0, self._ahead_bits - paid), _MOST_S * bitrate_bps)
        self._at_us = now_us
        return self._ahead_bits <= _ALLOWED_S * bitrate_bps

    def add(self, size_bytes: int) -> None:
        """Note a unit that was sent."""
        self._ahead_bits += 8 * size_bytes
