"""Which bitrate pictures of a size and rate need; with less, a smaller size or rate looks better. Pure."""

from __future__ import annotations

import math

# 1280x720 at 15 fps, in x264's quickest preset, smears below this (issue 7, and docs/rate-control.md).
_ANCHOR_BPS = 250_000
_ANCHOR_PIXELS_PER_S = 1280 * 720 * 15
# Neighbouring pixels and pictures are alike: twice as many do not need twice the bits.
_GROWTH = 0.75


def needs_bps(width: int, height: int, fps: float) -> int:
    """Return the bitrate, in bits per second, below which moving pictures of a size, in pixels, show visible blocks."""
    share = width * height * fps / _ANCHOR_PIXELS_PER_S
    return round(_ANCHOR_BPS * math.pow(share, _GROWTH))
