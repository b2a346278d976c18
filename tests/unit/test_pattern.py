"""The test picture: its content, its flash, and its cost."""

from __future__ import annotations

import time
from itertools import islice

import av
import numpy as np
import pytest

from device.clock import epoch_of_us, monotonic_us
from device.encoders.x264 import X264Encoder
from device.media.colour import default_colour
from device.media.picture import FramePicture
from device.sources import strip
from device.sources.lettering import Lettering
from device.sources.pattern import PatternSource, flash_brightness

US = 1_000_000


def pattern(width: int = 640, height: int = 360, fps: int = 30) -> PatternSource:
    return PatternSource(width=width, height=height, fps=fps, identity="porch")


def second_from_now_us() -> int:
    """Return a monotonic time at which a wall-clock second begins."""
    now = monotonic_us()
    return now + US - epoch_of_us(now) % US


@pytest.mark.parametrize(
    ("width", "height"),
    (
        (160, 120),
        (160, 2160),
        (162, 122),
        (176, 144),
        (640, 360),
        (640, 480),
        (1080, 1920),
        (1280, 720),
        (1280, 120),
        (1920, 120),
        (3840, 120),
        (3840, 2160),
    ),
)
def test_every_size_that_the_configuration_allows_is_drawn_and_read(width: int, height: int) -> None:
    source = pattern(width, height)
    moment_us = second_from_now_us() + US // 2
    frame = source.draw(77, moment_us)
    assert (frame.width, frame.height, frame.format.name) == (width, height, "yuv420p")
    reading = strip.read(luma_of(frame))
    assert reading is not None
    assert reading.number == 77
    assert abs(reading.captured_at_us - epoch_of_us(moment_us)) <= 1000


@pytest.mark.parametrize(("width", "height"), ((320, 240), (640, 360), (1280, 720), (720, 1280)))
def test_the_flash_is_there_exactly_in_the_first_tenth_of_a_second(width: int, height: int) -> None:
    source = pattern(width, height)
    start_us = second_from_now_us()
    slack_us = 5_000  # the wall clock may be slewed while this runs
    for number, offset_us in enumerate(
        (slack_us, 50_000, 100_000 - slack_us, 100_000 + slack_us, 500_000, US - slack_us, US + slack_us)
    ):
        luma = luma_of(source.draw(number, start_us + offset_us))
        assert (flash_brightness(luma) > 220) == (offset_us % US < 100_000), offset_us
    # The white bar moves through that area and must not count as a flash.
    brightest = max(
        flash_brightness(luma_of(source.draw(number, start_us + US // 2))) for number in range(0, width // 2, 9)
    )
    assert brightest < 200


def test_the_bars_move_by_two_pixels_per_frame_and_wrap() -> None:
    source = pattern()
    moment_us = second_from_now_us() + US // 2
    first, second = (source.draw(number, moment_us).to_ndarray()[10].copy() for number in (0, 1))
    assert (first[2:] == second[:-2]).all()
    assert len(np.unique(first)) == 8
    again = source.draw(320, moment_us).to_ndarray()[10]
    assert (first == again).all()


def test_a_pictures_buffer_is_reused_after_three_pictures() -> None:
    source = pattern()
    moment_us = monotonic_us()
    frames = [source.draw(number, moment_us) for number in range(3)]
    readings = [strip.read(luma_of(frame)) for frame in frames]
    assert [reading and reading.number for reading in readings] == [0, 1, 2]


def test_pictures_are_yielded_on_time_with_that_timestamp() -> None:
    pictures = list(islice(pattern(fps=50).pictures(), 10))
    arrived = monotonic_us()
    assert [picture.number for picture in pictures] == sorted({picture.number for picture in pictures})
    first = pictures[0]
    for picture in pictures:
        expected = first.captured_at_us + (picture.number - first.number) * US // 50
        assert abs(picture.captured_at_us - expected) <= 1
    assert pictures[-1].captured_at_us <= arrived


def test_a_slow_consumer_loses_frames_not_time() -> None:
    pictures = pattern(fps=100).pictures()
    first = next(pictures)
    due_us = first.captured_at_us + 200_000
    while monotonic_us() < due_us:
        time.sleep(0.01)
    late = next(pictures)
    assert late.number - first.number >= 19
    assert monotonic_us() - late.captured_at_us < 500_000


def test_drawing_costs_a_small_part_of_encoding() -> None:
    source = pattern(1280, 720)
    encoder = X264Encoder(
        width=1280,
        height=720,
        pixel_format="yuv420p",
        fps=30,
        bitrate_bps=1_000_000,
        bitrate_max_bps=2_500_000,
        keyframe_interval_s=10,
        colour=default_colour(720),
        sink=lambda _unit: None,
    )
    moment_us = monotonic_us()
    draw_s = encode_s = 0.0
    for number in range(-10, 60):
        if number == 0:  # warm up caches and libraries
            draw_s = encode_s = 0.0
        begin = time.thread_time()
        frame = source.draw(number + 10, moment_us + number * US // 30)
        middle = time.thread_time()
        encoder.encode(FramePicture(frame=frame, number=number + 10, captured_at_us=moment_us), key=False)
        draw_s += middle - begin
        encode_s += time.thread_time() - middle
    assert draw_s < 0.3 * encode_s, f"{draw_s / encode_s:.2f}"


def test_letters_that_do_not_fit_are_left_out() -> None:
    lettering = Lettering(2)
    for x in (0, 90, 99, 100, 200):
        luma = np.zeros((14, 100), np.uint8)
        lettering.draw(luma, "porch-1 \N{GREEK SMALL LETTER ALPHA}", x=x, y=0, ink=235, paper=16)
        assert luma.any() == (x + lettering.advance <= 100)


def luma_of(frame: object) -> strip.Luma:
    """Return the brightness plane of a frame in yuv420p."""
    assert isinstance(frame, av.VideoFrame)
    return frame.to_ndarray()[: frame.height].astype(np.uint8, copy=False)
