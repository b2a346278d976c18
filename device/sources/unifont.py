"""GNU Unifont: glyphs of 16 lines for the whole Basic Multilingual Plane, used when no other font has a character.

unifont.xz holds one byte for each code point up to U+FFFF, which is the width of its glyph in bytes a line (0: no
glyph). The glyphs follow in the order of the code points: 16 lines of that many bytes, one bit for each dot. It is made
from unifont-15.0.01.hex.
"""

from __future__ import annotations

import functools
import lzma
import unicodedata
from pathlib import Path

from PIL import Image

_LINES, _ASCENT = 16, 14  # in dots
_CODE_POINTS = 0x10000


class Unifont:
    """The font at a size in pixels. It is loaded when the first glyph is needed."""

    def __init__(self, size: int) -> None:
        self._size = size

    def has(self, character: str) -> bool:
        code = ord(character)
        return code < _CODE_POINTS and _data()[code] > 0

    def getlength(self, text: str) -> float:
        """Return the width of a text in pixels."""
        return sum(right for _, right in self._placed(text)[-1:]) * self._size / _LINES

    def ascent(self) -> int:
        return self._size * _ASCENT // _LINES

    def picture(self, text: str) -> Image.Image:
        """Return the text as 8-bit coverage."""
        placed = self._placed(text)
        dots = Image.new("L", (max(1, placed[-1][1] if placed else 1), _LINES))
        for character, (left, _) in zip(text, placed, strict=True):
            width, glyph = _glyph(character)
            mask = Image.frombytes("1", (8 * width, _LINES), glyph)
            dots.paste(255, (left, 0), mask)
        size = (max(1, round(dots.width * self._size / _LINES)), self._size)
        return dots.resize(size, Image.Resampling.BOX if size[1] < _LINES else Image.Resampling.BILINEAR)

    def _placed(self, text: str) -> list[tuple[int, int]]:
        """Return each character's first and last column, in dots, end exclusive. Marks share their letter's columns."""
        columns: list[tuple[int, int]] = []
        left = right = 0
        for character in text:
            if not (columns and unicodedata.combining(character)):
                left, right = right, right + 8 * _glyph(character)[0]
            columns.append((left, right))
        return columns


@functools.cache
def _data() -> bytes:
    return lzma.decompress(Path(__file__).with_suffix(".xz").read_bytes())


@functools.cache
def _offsets() -> list[int]:
    """Return the offset of each code point's glyph."""
    offsets, offset = [], _CODE_POINTS
    for width in _data()[:_CODE_POINTS]:
        offsets.append(offset)
        offset += _LINES * width
    return offsets


def _glyph(character: str) -> tuple[int, bytes]:
    """Return the width of a glyph in bytes a line, and its dots."""
    width, offset = _data()[ord(character)], _offsets()[ord(character)]
    return width, _data()[offset : offset + _LINES * width]
