"""Mixes blocks of sound. Pure."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST, _MOST = -32768, 32767


def mixed(blocks: Sequence[bytes]) -> bytes:
    """Return the sum of blocks of 16-bit samples of one length, limited to their range."""
    if len(blocks) == 1:
        return blocks[0]
    # Without numpy, which the daemon does not load: 0.1 ms for a block of 10 ms, while two talk at a time.
    sums = map(sum, zip(*(memoryview(each).cast("h") for each in blocks), strict=True))
    return array("h", (min(max(each, _LEAST), _MOST) for each in sums)).tobytes()


def peak(block: bytes) -> int:
    """Return the greatest amplitude of a block."""
    samples = memoryview(block).cast("h")
    return max(*samples, -min(samples))
