"""What decoded pictures need to become upright, square, progressive, 8-bit YUV 4:2:0, as FFmpeg's filters. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction

from device.media.colour import BT709, Colour, default_colour

PIXEL_FORMAT = "yuv420p"
_PQ, _HLG = 16, 18  # ITU-T H.273: SMPTE ST 2084 and ARIB STD-B67, the two transfer functions of HDR
_LIMITED, _FULL = 1, 2
# FFmpeg's scale filter names matrices by these words; its default is BT.601.
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}
_SQUARE = Fraction(1)
_WIDEST = 10  # a sample aspect ratio that is further from square is an error of the file
_MATRIX_BYTES = 36
_ROUNDING = 0.01  # pixels

Filter = tuple[str, str]  # the filter's name and its arguments


class Turn(Enum):
    """The eight ways in which a picture can lie: the filters that put it upright, and whether sides are exchanged."""

    _value_: tuple[tuple[Filter, ...], bool]

    NONE = (), False
    HFLIP = (("hflip", ""),), False
    # FFmpeg's vflip alone yields lines in reverse order in memory, which not every user of a picture expects.
    VFLIP = (("vflip", ""), ("copy", "")), False
    HALF = (("vflip", ""), ("hflip", "")), False
    CLOCKWISE = (("transpose", "clock"),), True
    COUNTERCLOCKWISE = (("transpose", "cclock"),), True
    CLOCKWISE_FLIPPED = (("transpose", "clock_flip"),), True
    COUNTERCLOCKWISE_FLIPPED = (("transpose", "cclock_flip"),), True

    @property
    def filters(self) -> tuple[Filter, ...]:
        filters: tuple[Filter, ...] = self.value[0]
        return filters

    @property
    def exchanges_sides(self) -> bool:
        return bool(self.value[1])


def turn_of_degrees(degrees: int) -> Turn:
    """Return the turn by 0, 90, 180 or 270 degrees clockwise."""
    return {0: Turn.NONE, 90: Turn.CLOCKWISE, 180: Turn.HALF, 270: Turn.COUNTERCLOCKWISE}[degrees]


def turn_of_flips(*, horizontally: bool, vertically: bool) -> Turn:
    """Return the turn that two flips make."""
    if horizontally:
        return Turn.HALF if vertically else Turn.HFLIP
    return Turn.VFLIP if vertically else Turn.NONE


def turn_of_matrix(matrix: bytes) -> Turn:
    """Return the turn of a display matrix (ISO/IEC 14496-12, 8.2.2): nine 32-bit numbers, as FFmpeg stores them.

    Angles between right angles, which no camera writes, are taken as none.
    """
    if len(matrix) < _MATRIX_BYTES:
        return Turn.NONE
    a, b, _, c, d, *_ = struct.unpack("=9i", matrix[:_MATRIX_BYTES])
    if a and d and not (b or c):
        return turn_of_flips(horizontally=a < 0, vertically=d < 0)
    if b and c and not (a or d):
        return {
            (True, False): Turn.CLOCKWISE,
            (False, True): Turn.COUNTERCLOCKWISE,
            (True, True): Turn.CLOCKWISE_FLIPPED,
            (False, False): Turn.COUNTERCLOCKWISE_FLIPPED,
        }[c < 0, b < 0]
    return Turn.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """How a decoder delivers pictures: size in pixels, the pixels' shape, and how the picture lies."""

    width: int
    height: int
    pixel_format: str
    sample_aspect: Fraction = _SQUARE
    turn: Turn = Turn.NONE
    interlaced: bool = False
    colour: Colour = BT709

    @property
    def hdr(self) -> bool:
        return self.colour.transfer in (_PQ, _HLG)

    @property
    def shown_size(self) -> tuple[int, int]:
        """Return width and height in square pixels, upright."""
        aspect = self.sample_aspect if Fraction(1, _WIDEST) <= self.sample_aspect <= _WIDEST else _SQUARE
        width, height = max(1, round(self.width * aspect)), self.height
        return (height, width) if self.turn.exchanges_sides else (width, height)

    @property
    def obstacles(self) -> tuple[str, ...]:
        """Return what keeps these pictures from being sent as they are stored; each ends a sentence about the file."""
        found = []
        if self.turn is not Turn.NONE:
            found.append("has a rotation (display matrix), which H.264 cannot carry to viewers")
        if self.interlaced:
            found.append("is interlaced; allowed: progressive pictures")
        if self.shown_size not in {(self.width, self.height), (self.height, self.width)}:
            found.append(f"has pixels that are not square ({self.sample_aspect}); browsers would show it distorted")
        if self.hdr:
            found.append("is HDR; allowed: SDR")
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """The pictures that result, and the filters that make them. Without filters the decoder's pictures are used.

    `tone_mapping` is the transfer function of HDR pictures; `filters_before` are then those that lead to RGB.
    """

    width: int
    height: int
    colour: Colour
    filters: tuple[Filter, ...] = ()
    filters_before: tuple[Filter, ...] = ()
    tone_mapping: int = 0


def conversion(decoded: Decoded, *, max_width: int, max_height: int, exact: bool = False) -> Conversion:
    """Return how pictures are scaled to fit, never up. Deinterlacing is not part of it: it comes first.

    With `exact` the result has exactly the maximum size, with black bars if the shape differs: an encoder's size is
    fixed, although a file may change its own.
    """
    shown_width, shown_height = decoded.shown_size
    scale = min(max_width / shown_width, max_height / shown_height)
    scale = scale if exact else min(1.0, scale)
    width, height = _even(shown_width * scale), _even(shown_height * scale)
    bars: tuple[Filter, ...] = ()
    if exact and (width, height) != (max_width, max_height):
        bars = (("pad", f"{max_width}:{max_height}:(ow-iw)/2:(oh-ih)/2"),)
    lying = (height, width) if decoded.turn.exchanges_sides else (width, height)
    as_it_is = lying == (decoded.width, decoded.height) and decoded.pixel_format == PIXEL_FORMAT
    colour = decoded.colour
    if as_it_is and not (decoded.hdr or bars):
        return Conversion(width=width, height=height, colour=colour, filters=decoded.turn.filters)
    size = (max_width, max_height) if exact else (width, height)
    after = (*decoded.turn.filters, *bars, ("setsar", "1"))
    to_size = _scaled(lying, decoded)
    if decoded.hdr:
        return Conversion(
            width=size[0],
            height=size[1],
            colour=BT709,
            filters_before=(to_size, ("format", "gbrp10le")),
            tone_mapping=colour.transfer,
            filters=(("scale", "out_color_matrix=bt709:out_range=tv"), ("format", PIXEL_FORMAT), *after),
        )
    if not _has_luma(decoded):
        colour = default_colour(size[1])
    return Conversion(
        width=size[0],
        height=size[1],
        colour=replace(colour, range=_LIMITED),
        filters=(
            (to_size[0], f"{to_size[1]}:out_range=tv:out_color_matrix={_matrix(colour)}"),
            ("format", PIXEL_FORMAT),
            *after,
        ),
    )


def _scaled(size: tuple[int, int], decoded: Decoded) -> Filter:
    full = decoded.colour.range == _FULL or decoded.pixel_format.startswith("yuvj") or not _has_luma(decoded)
    matrix = _matrix(decoded.colour)
    return "scale", f"{size[0]}:{size[1]}:flags=bilinear:in_range={'pc' if full else 'tv'}:in_color_matrix={matrix}"


def _has_luma(decoded: Decoded) -> bool:
    """Return whether the format has luma and chroma, as opposed to RGB or a palette."""
    return decoded.pixel_format.startswith(("yuv", "nv", "p0", "p2", "y2", "uyvy", "gray"))


def _matrix(colour: Colour) -> str:
    return _MATRICES.get(colour.matrix, "bt601")


def _even(length: float) -> int:
    return max(2, int(length + _ROUNDING) & ~1)
