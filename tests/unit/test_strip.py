"""The strip: drawn, strongly compressed, and read back."""

from __future__ import annotations

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.clock import epoch_of_us, monotonic_us
from device.encoders.x264 import X264Encoder
from device.media.colour import default_colour
from device.media.picture import AccessUnit, FramePicture
from device.sources import strip
from device.sources.pattern import PatternSource
from device.sources.strip import Reading

NOW_US = 1_795_365_585_266_907
SIZES = ((160, 120), (161, 121), (163, 2160), (320, 240), (333, 222), (639, 479), (641, 361), (1280, 720), (3840, 2160))


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_strip_is_read_at_any_size(width: int, height: int) -> None:
    luma = np.full((height, width), 128, np.uint8)
    strip.draw(luma, number=12_345_678, captured_at_us=NOW_US)
    assert strip.read(luma) == Reading(12_345_678, NOW_US)
    above = luma[: strip.top(width, height)]
    assert (above == 128).all()


@given(number=st.integers(0, 2**40), captured_at_us=st.integers(0, 2**52 - 1))
def test_every_number_and_time(number: int, captured_at_us: int) -> None:
    luma = np.zeros((120, 160), np.uint8)
    strip.draw(luma, number=number, captured_at_us=captured_at_us)
    assert strip.read(luma) == Reading(number % 2**24, captured_at_us)


@given(width=st.integers(160, 700), height=st.integers(120, 500))
def test_every_size(width: int, height: int) -> None:
    luma = np.zeros((height, width), np.uint8)
    strip.draw(luma, number=7, captured_at_us=NOW_US)
    assert strip.read(luma) == Reading(7, NOW_US)


def test_noise_is_not_a_strip() -> None:
    chance = np.random.default_rng(1)
    for _ in range(300):
        assert strip.read(chance.integers(0, 256, (120, 160), np.uint8)) is None


@pytest.mark.parametrize("shade", (0, 16, 128, 235, 255))
def test_one_shade_is_not_a_strip(shade: int) -> None:
    assert strip.read(np.full((720, 1280), shade, np.uint8)) is None


@given(st.integers(0, 47), st.integers(0, 1))
def test_one_wrong_cell_makes_the_strip_invalid(column: int, row: int) -> None:
    luma = np.zeros((240, 480), np.uint8)
    strip.draw(luma, number=5, captured_at_us=NOW_US)
    first = strip.top(480, 240)
    cell = luma[first + row * 10 : first + row * 10 + 10, column * 10 : column * 10 + 10]
    cell[:] = strip.WHITE + strip.BLACK - cell
    assert strip.read(luma) is None


@pytest.mark.parametrize(
    ("width", "height", "fps", "bitrate_bps", "share"),
    (
        (1280, 720, 30, 300_000, 0.95),
        (640, 360, 30, 100_000, 0.8),
        (320, 240, 15, 60_000, 0.95),
    ),
)
def test_it_survives_strong_compression(width: int, height: int, fps: int, bitrate_bps: int, share: float) -> None:
    source = PatternSource(width=width, height=height, fps=fps, identity="porch")
    units: list[AccessUnit] = []
    encoder = X264Encoder(
        width=width,
        height=height,
        pixel_format="yuv420p",
        fps=fps,
        bitrate_bps=bitrate_bps,
        bitrate_max_bps=2_500_000,
        keyframe_interval_s=10,
        colour=default_colour(height),
        sink=units.append,
    )
    decoder = av.CodecContext.create("h264", "r")
    readings = []
    now_us = monotonic_us()
    start_us = now_us - epoch_of_us(now_us) % 1_000_000  # each run begins with a flash, like the others
    for number in range(2 * fps):
        moment_us = start_us + number * 1_000_000 // fps
        picture = FramePicture(frame=source.draw(number, moment_us), number=number, captured_at_us=moment_us)
        encoder.encode(picture, key=False)
        for frame in decoder.decode(av.Packet(units[-1].payload)):
            readings += [strip.read(luma_of(frame))]
    readings += [strip.read(luma_of(frame)) for frame in decoder.decode(None)]
    assert len(readings) == 2 * fps
    right = sum(reading is not None and reading.number == number for number, reading in enumerate(readings))
    assert right >= share * len(readings)
    assert all(0 <= number - reading.number <= fps for number, reading in enumerate(readings) if reading)


def luma_of(frame: object) -> strip.Luma:
    """Return the brightness plane of a frame in yuv420p."""
    assert isinstance(frame, av.VideoFrame)
    return frame.to_ndarray()[: frame.height].astype(np.uint8, copy=False)
