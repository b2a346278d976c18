"""Colour spaces. For a stream without a colour description a browser guesses, and is wrong by up to 39 of 255."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_HD_LINES = 720
# Names of libcamera::ColorSpace. Formats other than YUV have "Raw" primaries and no encoding, which are not listed.
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


def default_colour(height: int) -> Colour:
    """Return the colour space that a picture of this height has by convention."""
    return BT709 if height >= _HD_LINES else BT601


def of_libcamera(space: Any, *, height: int) -> Colour:
    """Return the colour of libcamera's ColorSpace; unknown parts, or all parts for None, come from `default_colour`."""
    default = default_colour(height)
    if space is None:
        return default
    primaries = _PRIMARIES.get(space.primaries.name, default.primaries)
    transfer = _TRANSFERS.get(space.transferFunction.name, default.transfer)
    if (primaries, transfer) == (BT601.primaries, BT709.transfer):
        transfer = BT601.transfer  # the same curve, by the name that belongs to these primaries
    return Colour(
        primaries=primaries,
        transfer=transfer,
        matrix=_MATRICES.get(space.ycbcrEncoding.name, default.matrix),
        range=_RANGES.get(space.range.name, default.range),
    )
