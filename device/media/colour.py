"""How numbers mean colours. Untagged, a browser guesses, and is up to 39 of 255 off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_HD_LINES = 720
# libcamera::ColorSpace's names; "Raw" primaries and no encoding at all are what it says of other than YUV.
_PRIMARIES = {"Smpte170m": 6, "Rec709": 1, "Rec2020": 9}
_TRANSFERS = {"Linear": 8, "Srgb": 13, "Rec709": 1}
_MATRICES = {"Rec601": 6, "Rec709": 1, "Rec2020": 9}
_RANGES = {"Limited": 1, "Full": 2}


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


def of_libcamera(space: Any, *, height: int) -> Colour:
    """Return what libcamera's ColorSpace says, and what is customary for all that it leaves open; None says nothing."""
    guess = customary(height)
    if space is None:
        return guess
    primaries = _PRIMARIES.get(space.primaries.name, guess.primaries)
    transfer = _TRANSFERS.get(space.transferFunction.name, guess.transfer)
    if (primaries, transfer) == (BT601.primaries, BT709.transfer):
        transfer = BT601.transfer  # the same curve, under the name that goes with these primaries
    return Colour(
        primaries=primaries,
        transfer=transfer,
        matrix=_MATRICES.get(space.ycbcrEncoding.name, guess.matrix),
        range=_RANGES.get(space.range.name, guess.range),
    )
