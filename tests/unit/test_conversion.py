"""How decoded pictures become upright, square, progressive 8-bit YUV 4:2:0: the plan, and FFmpeg's filters."""

from __future__ import annotations

import gc
import struct
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from device.media.colour import BT709, Colour
from device.sources.conversion import Decoded, Turn, conversion, turn_of_degrees, turn_of_matrix
from device.sources.filtering import Converter, Deinterlacer, Filtering
from device.sources.planes import writable
from device.sources.tone_mapping import to_sdr
from tests.support.films import film

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

_ONE = 1 << 16
_PQ = Colour(primaries=9, transfer=16, matrix=9, range=1)
_HLG = Colour(primaries=9, transfer=18, matrix=9, range=1)
SD = Decoded(width=720, height=576, pixel_format="yuv420p")


def matrix(a: int, b: int, c: int, d: int) -> bytes:
    return struct.pack("=9i", a * _ONE, b * _ONE, 0, c * _ONE, d * _ONE, 0, 0, 0, 1 << 30)


def corners(width: int = 64, height: int = 48) -> VideoFrame:
    """Return a picture with a shade of its own in each corner: 50, 100, 150 and 200, clockwise from the upper left."""
    frame = VideoFrame(width, height, "yuv420p")
    luma, blue, red = writable(frame)
    luma[:], blue[:], red[:] = 16, 128, 128
    y, x = height // 4, width // 4
    luma[:y, :x], luma[:y, -x:], luma[-y:, -x:], luma[-y:, :x] = 50, 100, 150, 200
    return frame


def corners_of(luma: npt.NDArray[np.uint8]) -> tuple[int, ...]:
    """Return the shades in the corners, clockwise from the upper left, rounded to 50."""
    return tuple(round(float(luma[y, x]) / 50) * 50 for y, x in ((3, 3), (3, -4), (-4, -4), (-4, 3)))


def test_a_plain_picture_is_used_as_it_is() -> None:
    plan = conversion(SD, max_width=1280, max_height=720)
    assert (plan.width, plan.height, plan.filters, plan.colour) == (720, 576, (), BT709)
    assert SD.obstacles == ()


@pytest.mark.parametrize(
    ("numbers", "turn"),
    (
        ((1, 0, 0, 1), Turn.NONE),
        ((-1, 0, 0, 1), Turn.HFLIP),
        ((1, 0, 0, -1), Turn.VFLIP),
        ((-1, 0, 0, -1), Turn.HALF),
        ((0, 1, -1, 0), Turn.CLOCKWISE),
        ((0, -1, 1, 0), Turn.COUNTERCLOCKWISE),
        ((0, -1, -1, 0), Turn.CLOCKWISE_FLIPPED),
        ((0, 1, 1, 0), Turn.COUNTERCLOCKWISE_FLIPPED),
        ((1, 1, -1, 1), Turn.NONE),
        ((0, 0, 0, 0), Turn.NONE),
    ),
)
def test_a_display_matrix_names_the_turn(numbers: tuple[int, int, int, int], turn: Turn) -> None:
    assert turn_of_matrix(matrix(*numbers)) is turn
    assert turn_of_matrix(matrix(*numbers)[:35]) is Turn.NONE


@pytest.mark.parametrize("turn", Turn)
def test_each_turn_moves_a_marked_corner_where_its_matrix_says(turn: Turn) -> None:
    frame = corners()
    frame.pts = 0
    [turned] = Filtering(frame, turn.filters or [("null", "")]).filtered(frame)
    expected = {
        Turn.NONE: (50, 100, 150, 200),
        Turn.HFLIP: (100, 50, 200, 150),
        Turn.VFLIP: (200, 150, 100, 50),
        Turn.HALF: (150, 200, 50, 100),
        Turn.CLOCKWISE: (200, 50, 100, 150),
        Turn.COUNTERCLOCKWISE: (100, 150, 200, 50),
        Turn.CLOCKWISE_FLIPPED: (150, 100, 50, 200),
        Turn.COUNTERCLOCKWISE_FLIPPED: (50, 200, 150, 100),
    }[turn]
    assert corners_of(writable(turned)[0]) == expected
    assert (turned.width, turned.height) == ((48, 64) if turn.exchanges_sides else (64, 48))


def test_degrees_are_clockwise() -> None:
    turns = [turn_of_degrees(degrees) for degrees in (0, 90, 180, 270)]
    assert turns == [Turn.NONE, Turn.CLOCKWISE, Turn.HALF, Turn.COUNTERCLOCKWISE]


@pytest.mark.parametrize(
    ("how", "size"),
    (
        ({"sample_aspect": Fraction(16, 11)}, (1046, 576)),
        ({"sample_aspect": Fraction(8, 9)}, (640, 576)),
        ({"sample_aspect": Fraction(1, 1000)}, (720, 576)),
        ({"sample_aspect": Fraction(2), "turn": Turn.CLOCKWISE}, (288, 720)),
        ({"turn": Turn.CLOCKWISE}, (576, 720)),
        ({"width": 3840, "height": 2160}, (1280, 720)),
        ({"width": 719, "height": 405}, (718, 404)),
    ),
)
def test_the_shown_size_fits_into_the_configured_one(how: dict[str, Any], size: tuple[int, int]) -> None:
    decoded = replace(SD, **how)
    plan = conversion(decoded, max_width=1280, max_height=720)
    assert (plan.width, plan.height) == size


@pytest.mark.parametrize(
    ("how", "text"),
    (
        ({"turn": Turn.HFLIP}, "has a rotation"),
        ({"interlaced": True}, "is interlaced"),
        ({"sample_aspect": Fraction(16, 11)}, "not square (16/11)"),
        ({"colour": _PQ}, "is HDR"),
    ),
)
def test_what_cannot_be_passed_through_is_named(how: dict[str, Any], text: str) -> None:
    [obstacle] = replace(SD, **how).obstacles
    assert text in obstacle


def stream(colour: Colour = BT709, aspect: Fraction | None = None) -> Any:
    context = SimpleNamespace(
        color_primaries=colour.primaries,
        color_trc=colour.transfer,
        colorspace=colour.matrix,
        color_range=colour.range,
    )
    return SimpleNamespace(codec_context=context, sample_aspect_ratio=aspect)


@pytest.mark.parametrize(
    "pixel_format", ("yuv420p", "yuv422p", "yuv444p", "yuvj422p", "nv12", "yuv420p10le", "rgb24", "gray", "yuv411p")
)
def test_each_pixel_format_becomes_8_bit_yuv420p_of_the_same_shades(pixel_format: str) -> None:
    frame = corners().reformat(format=pixel_format, src_color_range=1, dst_color_range=1)
    converter = Converter(frame, stream(), max_width=64, max_height=48)
    converted = converter.converted(frame)
    assert (converted.format.name, converted.width, converted.height) == ("yuv420p", 64, 48)
    assert converter.colour.range == 1
    assert corners_of(writable(converted)[0]) == (50, 100, 150, 200)


def hdr(code: float, transfer: Colour) -> tuple[VideoFrame, Any]:
    """Return a grey picture of 10 bits with a code between 0 and 1."""
    frame = VideoFrame(64, 48, "yuv420p10le")
    for index, plane in enumerate(frame.planes):
        value = 512 if index else round(64 + 876 * code)
        plane.update(np.full(plane.buffer_size // 2, value, np.uint16).tobytes())
    return frame, stream(transfer)


@pytest.mark.parametrize(
    ("transfer", "code", "luma"),
    # A white sheet is bright, a grey card is grey, and highlights have room above white. 0.58: 203 nits in PQ.
    ((_PQ, 0.0, 16), (_PQ, 0.58, 208), (_PQ, 0.38, 104), (_PQ, 0.75, 235), (_HLG, 0.0, 16), (_HLG, 0.75, 208)),
)
def test_hdr_is_tone_mapped_and_not_washed_out(transfer: Colour, code: float, luma: int) -> None:
    frame, of_stream = hdr(code, transfer)
    converter = Converter(frame, of_stream, max_width=32, max_height=32)
    converted = converter.converted(frame)
    found, blue, red = (plane.astype(int) for plane in writable(converted))
    assert (converted.width, converted.height, converter.colour) == (32, 24, BT709)
    assert found == pytest.approx(luma, abs=4)
    assert blue == pytest.approx(128, abs=2)
    assert red == pytest.approx(128, abs=2)


def test_tone_mapping_is_monotonic_and_keeps_hues() -> None:
    steps = np.linspace(0, 1, 200)
    grey = to_sdr(np.stack((steps,) * 3, axis=1), 16)
    assert (np.diff(grey[:, 0]) >= 0).all()
    red, green, blue = to_sdr(np.array([[0.5, 0.4, 0.4]]), 16)[0]
    assert red > 1.5 * green > 0.3
    assert green == pytest.approx(blue, rel=0.2)


def test_a_picture_of_another_shape_gets_bars_so_that_the_size_stays() -> None:
    converter = Converter(corners(), stream(), max_width=1280, max_height=720)
    other = corners(48, 64)
    converted = converter.converted(other)
    luma = writable(converted)[0]
    assert (converted.width, converted.height) == (64, 48)
    assert (luma[:, :12] == 16).all()
    assert corners_of(luma[:, 14:50]) == (50, 100, 150, 200)
    again = converter.converted(corners())
    assert corners_of(writable(again)[0]) == (50, 100, 150, 200)


def interlaced_pictures() -> list[tuple[VideoFrame, int]]:
    """Return pictures whose two fields differ, decoded from MPEG-2."""
    encoder: Any = av.CodecContext.create("mpeg2video", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 64, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
    encoder.flags |= av.codec.context.Flags.interlaced_dct | av.codec.context.Flags.interlaced_me
    encoder.options = {"field_order": "tt"}
    decoder = av.CodecContext.create("mpeg2video", "r")
    found = []
    for number in range(6):
        frame = VideoFrame(64, 64, "yuv420p")
        luma, blue, red = writable(frame)
        luma[:], blue[:], red[:] = 60, 128, 128
        luma[1::2, (number * 8) % 64 : (number * 8) % 64 + 8] = 200
        frame.pts = number
        for packet in encoder.encode(frame):
            found += decoder.decode(packet)
    return [(frame, number * 40_000) for number, frame in enumerate(found)]


def combing(frame: VideoFrame) -> float:
    """Return how much neighbouring lines differ."""
    luma = writable(frame)[0].astype(int)
    return float(np.abs(np.diff(luma, axis=0)).mean())


def test_interlaced_pictures_are_deinterlaced_at_their_times() -> None:
    pictures = interlaced_pictures()
    assert all(frame.interlaced_frame for frame, _ in pictures)
    combed = [combing(frame) for frame, _ in pictures]
    whole = list(Deinterlacer().pictures(iter(pictures)))
    assert [at for _, at in whole] == [at for _, at in pictures]
    assert max(combing(frame) for frame, _ in whole[1:-1]) < min(combed) / 3


def test_progressive_pictures_are_not_touched_and_interlaced_ones_only_if_there_is_time() -> None:
    progressive = [(corners(), number) for number in range(3)]
    assert [frame for frame, _ in Deinterlacer().pictures(iter(progressive))] == [frame for frame, _ in progressive]
    pictures = interlaced_pictures()
    deinterlacer = Deinterlacer()
    deinterlacer.bypassed = True
    assert [frame for frame, _ in deinterlacer.pictures(iter(pictures))] == [frame for frame, _ in pictures]


def test_pictures_are_freed_without_the_garbage_collector(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4", times=range(60))
    gc.collect()
    gc.disable()
    try:
        with av.open(path) as container:
            stream = container.streams.video[0]
            converter = None
            for frame in container.decode(stream):
                converter = converter or Converter(frame, stream, max_width=1280, max_height=720)
                converter.converted(frame)
        kept = [each for each in gc.get_objects() if isinstance(each, av.VideoFrame)]
        assert len(kept) < 10
    finally:
        gc.enable()
