"""Pictures as JPEG: their size, their colours, and what quality does."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from device.encoders.jpeg import fitted, jpeg, quantiser_scale
from device.errors import EncoderError
from device.media.colour import BT601, BT709, Colour
from device.sources import strip
from device.sources.pattern import PatternSource

if TYPE_CHECKING:
    import av


MANY = 1 << 20


def frame(width: int = 640, height: int = 360) -> av.VideoFrame:
    return PatternSource(width=width, height=height, fps=30, identity="porch").draw(77, 0)


def picture(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize(
    ("size", "max_width", "result"),
    (
        ((1280, 720), 0, (1280, 720)),
        ((1280, 720), 1280, (1280, 720)),
        ((1280, 720), 4000, (1280, 720)),
        ((1280, 720), 321, (320, 180)),
        ((360, 640), 90, (90, 160)),
        ((2560, 20), 16, (16, 2)),
    ),
)
def test_sizes(size: tuple[int, int], max_width: int, result: tuple[int, int]) -> None:
    assert fitted(*size, max_width) == result


def test_the_picture_is_as_large_as_wanted_and_can_be_read() -> None:
    made = jpeg(frame(), max_width=0, quality=90, colour=BT601, max_bytes=MANY)
    assert (made.width, made.height) == picture(made.data).size == (640, 360)
    reading = strip.read(np.asarray(picture(made.data).convert("L")))
    assert reading is not None
    assert reading.number == 77
    narrow = jpeg(frame(), max_width=320, quality=90, colour=BT601, max_bytes=MANY)
    assert (narrow.width, narrow.height) == picture(narrow.data).size == (320, 180)


@pytest.mark.parametrize(("height", "colour"), ((360, BT601), (720, BT709)))
def test_colours_are_those_of_the_camera(height: int, colour: Colour) -> None:
    """The bars of the pattern, at 75 %, whichever matrix the picture has."""
    shown = picture(jpeg(frame(1280, height), max_width=0, quality=95, colour=colour, max_bytes=MANY).data).convert(
        "RGB"
    )
    pixels = np.asarray(shown)[8, 80:1280:160].astype(int)
    seen = {tuple(each) for each in np.round(pixels / 191).astype(int).tolist()}
    assert seen == {(r, g, b) for r in (0, 1) for g in (0, 1) for b in (0, 1)}
    assert np.minimum(pixels, abs(pixels - 191)).max() < 12


def test_a_picture_with_too_many_bytes_is_refused() -> None:
    with pytest.raises(EncoderError, match="more than 1000; ask for less quality"):
        jpeg(frame(), max_width=0, quality=85, colour=BT601, max_bytes=1000)


def test_less_quality_is_less_data() -> None:
    sizes = [
        len(jpeg(frame(), max_width=0, quality=quality, colour=BT601, max_bytes=MANY).data)
        for quality in (1, 30, 60, 85, 100)
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1] / 1.5
    scales = [quantiser_scale(quality) for quality in range(1, 101)]
    assert scales == sorted(scales, reverse=True)
    assert (scales[0], scales[-1]) == (31, 1)
