"""How many bits a picture of a certain size and rate needs, before it is better made smaller or rarer. Pure."""

from __future__ import annotations

import math

# 1280x720 at 15 fps, in x264's quickest preset, smears below this (issue 7, and docs/rate-control.md).
_ANCHOR_BPS = 250_000
_ANCHOR_PIXELS_A_SECOND = 1280 * 720 * 15
# Neighbouring pixels and pictures are alike, the more so the closer they are: twice as many need not twice the bits.
_GROWTH = 0.75


def needs_bps(width: int, height: int, fps: float) -> int:
    """Return the bitrate, in bits a second, below which a moving picture of this size, in pixels, falls apart."""
    share = width * height * fps / _ANCHOR_PIXELS_A_SECOND
    return round(_ANCHOR_BPS * math.pow(share, _GROWTH))
