"""Draws and reads frame number and capture time as a strip of cells that survives strong compression. Pure.

Two rows of 48 cells along the lower edge: 4 bits of marker, 24 of frame number, 52 of capture time
(microseconds since the epoch), 16 of CRC-CCITT over those ten bytes.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Luma = npt.NDArray[np.uint8]

COLUMNS, ROWS = 48, 2
BLACK, WHITE = 16, 235  # ITU-R BT.601 and BT.709, limited range
_MARKER = 0b1010
_NUMBER_BITS, _TIME_BITS, _CRC_BITS = 24, 52, 16
_BITS = COLUMNS * ROWS
_CRC_START = 0xFFFF


@dataclass(frozen=True, slots=True)
class Reading:
    """The contents of a strip: the number modulo 2^24, and the time in microseconds since the epoch."""

    number: int
    captured_at_us: int


def top(width: int, height: int) -> int:
    """Return the strip's first line; its last line is the picture's last."""
    return height - min(ROWS * width // COLUMNS, height // 2)


def draw(luma: Luma, *, number: int, captured_at_us: int) -> None:
    """Draw the strip into a picture's luma plane of shape (height, width)."""
    value = (_MARKER << _NUMBER_BITS | number % (1 << _NUMBER_BITS)) << _TIME_BITS | captured_at_us
    value = value << _CRC_BITS | _crc(value)
    bits = np.unpackbits(np.frombuffer(value.to_bytes(_BITS // 8, "big"), np.uint8)).reshape(ROWS, COLUMNS)
    height, width = luma.shape
    first = top(width, height)
    column = np.arange(width) * COLUMNS // width
    middle = (first + height) // 2
    shades = np.where(bits, np.uint8(WHITE), np.uint8(BLACK))
    luma[first:middle] = shades[0, column]
    luma[middle:] = shades[1, column]


def read(luma: Luma) -> Reading | None:
    """Read the strip in a decoded luma plane of any size and shape; return None if there is no valid strip."""
    height, width = luma.shape
    first = top(width, height)
    cell_height = (height - first) / ROWS
    bits = 0
    for row in range(ROWS):
        line = int(first + (row + 0.5) * cell_height)
        for column in range(COLUMNS):
            middle = int((column + 0.5) * width / COLUMNS)
            bits = bits << 1 | int(luma[line - 1 : line + 2, middle - 1 : middle + 2].mean() > (BLACK + WHITE) / 2)
    value, crc = bits >> _CRC_BITS, bits & (1 << _CRC_BITS) - 1
    if value >> _NUMBER_BITS + _TIME_BITS != _MARKER or crc != _crc(value):
        return None
    return Reading(number=value >> _TIME_BITS & (1 << _NUMBER_BITS) - 1, captured_at_us=value & (1 << _TIME_BITS) - 1)


def _crc(value: int) -> int:
    return binascii.crc_hqx(value.to_bytes((_BITS - _CRC_BITS) // 8, "big"), _CRC_START)
