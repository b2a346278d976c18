"""How numbers mean colours. Untagged, a browser guesses, and is up to 39 of 255 off."""

from __future__ import annotations

from dataclasses import dataclass

_HD_LINES = 720


@dataclass(frozen=True, slots=True, kw_only=True)
class Colour:
    """Code points of ITU-T H.273, as H.264 carries them in its VUI; range is FFmpeg's: 1 limited, 2 full."""

    primaries: int
    transfer: int
    matrix: int
    range: int


BT601 = Colour(primaries=6, transfer=6, matrix=6, range=1)  # SMPTE 170M
BT709 = Colour(primaries=1, transfer=1, matrix=1, range=1)


def customary(height: int) -> Colour:
    """Return what a picture of this height has unless it says otherwise."""
    return BT709 if height >= _HD_LINES else BT601
