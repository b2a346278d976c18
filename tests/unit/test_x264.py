"""The software encoder, checked by an independent parser and decoder."""

from __future__ import annotations

import re

import av
import numpy as np
import pytest

from device.encoders.x264 import X264Encoder
from device.encoders.x264_presets import FASTEST, PRESETS
from device.errors import EncoderError
from device.media.colour import BT601, BT709, Colour
from device.media.picture import AccessUnit, FramePicture

SPS, PPS, IDR, SLICE = 7, 8, 5, 1


class Encoding:
    """An encoder fed with noise, which needs all the bits that it gets."""

    def __init__(
        self,
        *,
        width: int = 320,
        height: int = 240,
        fps: float = 30,
        bitrate_bps: int = 400_000,
        bitrate_max_bps: int = 4_000_000,
        keyframe_interval_s: int = 10,
        colour: Colour = BT601,
        pixel_format: str = "yuv420p",
        preset: str = FASTEST,
    ) -> None:
        self.units: list[AccessUnit] = []
        self.encoder = X264Encoder(
            width=width,
            height=height,
            pixel_format=pixel_format,
            fps=fps,
            bitrate_bps=bitrate_bps,
            bitrate_max_bps=bitrate_max_bps,
            keyframe_interval_s=keyframe_interval_s,
            colour=colour,
            sink=self.units.append,
            preset=preset,
        )
        self.source = (width, height)
        self._format = pixel_format
        self._chance = np.random.default_rng(1)
        self._number = 0

    def feed(self, count: int, *, keys: tuple[int, ...] = ()) -> list[AccessUnit]:
        before = len(self.units)
        for index in range(count):
            width, height = self.source
            noise = self._chance.integers(110, 140, (height * 3 // 2, width), np.uint8)
            frame = av.VideoFrame.from_ndarray(noise, format=self._format)
            picture = FramePicture(frame=frame, number=self._number, captured_at_us=self._number * 1000)
            self.encoder.encode(picture, key=index in keys)
            self._number += 1
        return self.units[before:]


def nal_types(unit: AccessUnit) -> list[int]:
    return [match[1][0] & 31 for match in re.finditer(b"\0\0\1(.)", unit.payload, re.DOTALL)]


def bps(units: list[AccessUnit], fps: float = 30) -> float:
    return sum(len(unit.payload) for unit in units) * 8 * fps / len(units)


def test_each_picture_yields_one_unit_at_once_with_its_number_and_time() -> None:
    encoding = Encoding()
    for number in range(20):
        [unit] = encoding.feed(1)
        assert (unit.number, unit.captured_at_us) == (number, number * 1000)
        assert (unit.width, unit.height) == (320, 240)
        assert unit.payload.startswith(b"\0\0\0\1")


def test_a_key_frame_on_request_is_an_idr_with_its_headers() -> None:
    units = Encoding().feed(40, keys=(13, 14, 30))
    assert [number for number, unit in enumerate(units) if unit.key] == [0, 13, 14, 30]
    for unit in units:
        kinds = nal_types(unit)
        if unit.key:
            assert {SPS, PPS, IDR} <= set(kinds)
            assert kinds.index(SPS) < kinds.index(PPS) < kinds.index(IDR)
            assert SLICE not in kinds
        else:
            assert not {SPS, PPS, IDR} & set(kinds)


def test_decoding_can_start_at_any_key_frame() -> None:
    units = Encoding().feed(30, keys=(20,))
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for unit in units[20:] for frame in decoder.decode(av.Packet(unit.payload))]
    frames += decoder.decode(None)
    assert len(frames) == 10
    assert isinstance(frames[0], av.VideoFrame)
    assert frames[0].key_frame


def test_unrequested_key_frames_follow_the_interval_only() -> None:
    units = Encoding(fps=10, keyframe_interval_s=2).feed(60)
    assert [number for number, unit in enumerate(units) if unit.key] == [0, 20, 40]


def test_a_decoded_frames_type_is_ignored() -> None:
    encoding = Encoding()
    for _ in range(5):
        frame = av.VideoFrame(320, 240, "yuv420p")
        frame.pict_type = av.video.frame.PictureType.I
        encoding.encoder.encode(FramePicture(frame=frame, number=0, captured_at_us=0), key=False)
    assert [unit.key for unit in encoding.units] == [True, False, False, False, False]


def test_a_change_of_the_bitrate_takes_effect_both_ways() -> None:
    encoding = Encoding(bitrate_bps=1_000_000)
    encoding.feed(30)
    assert bps(encoding.feed(60)) == pytest.approx(1_000_000, rel=0.35)
    encoding.encoder.set_bitrate(250_000)
    encoding.feed(30)
    assert bps(encoding.feed(60)) == pytest.approx(250_000, rel=0.35)
    encoding.encoder.set_bitrate(2_000_000)
    encoding.feed(30)
    assert bps(encoding.feed(60)) == pytest.approx(2_000_000, rel=0.35)


def test_most_of_the_bitrate_is_used_after_any_change() -> None:
    """x264's VBV buffer keeps its size; a key frame after a change adapts it."""
    encoding = Encoding(bitrate_bps=300_000)
    for bitrate_bps in (300_000, 2_400_000, 300_000):
        encoding.encoder.set_bitrate(bitrate_bps)
        encoding.feed(60, keys=(0,))
        assert 0.92 <= bps(encoding.feed(60)) / bitrate_bps <= 1.08


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_keeps_what_the_stream_needs(preset: str) -> None:
    """No delay, constrained baseline, a bitrate that can change, and no burst at a key frame."""
    encoding = Encoding(preset=preset, bitrate_bps=1_000_000, bitrate_max_bps=1_000_000)
    for number in range(30):
        [unit] = encoding.feed(1)
        assert unit.number == number
    assert encoding.units[0].payload[encoding.units[0].payload.index(b"\0\0\1\x67") + 4] == 66
    encoding.encoder.set_bitrate(500_000)
    encoding.feed(30, keys=(0,))
    units = encoding.feed(60, keys=(30,))
    assert bps(units) == pytest.approx(500_000, rel=0.1)
    assert max(len(unit.payload) for unit in units) * 8 <= 500_000 * 1.06 * 3 / 30 * 1.05


def test_another_preset_begins_with_a_key_frame_and_the_stream_goes_on() -> None:
    encoding = Encoding()
    encoding.feed(10)
    for preset in (*PRESETS, FASTEST):
        encoding.encoder.set_preset(preset)
        encoding.feed(10)
    changes = [10 * number for number in range(len(PRESETS) + 2)]
    assert [number for number, unit in enumerate(encoding.units) if unit.key] == [0, *changes[2:]]
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for unit in encoding.units for frame in decoder.decode(av.Packet(unit.payload))]
    frames += decoder.decode(None)
    assert len(frames) == len(encoding.units)


def test_a_slower_preset_has_a_better_picture_at_the_same_bitrate() -> None:
    errors = {}
    for preset in PRESETS:
        encoding = Encoding(preset=preset, bitrate_bps=300_000, bitrate_max_bps=300_000)
        decoder = av.CodecContext.create("h264", "r")
        squares = []
        for number in range(45):
            across, down = np.meshgrid(np.arange(320), np.arange(240))
            luma = 128 + 60 * np.sin((across + 3 * number) / 9) * np.sin((down - number) / 7)
            planes = np.vstack((luma.astype(np.uint8), np.full((120, 320), 128, np.uint8)))
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            encoding.encoder.encode(FramePicture(frame=frame, number=number, captured_at_us=0), key=False)
            for shown in decoder.decode(av.Packet(encoding.units[-1].payload)):
                assert isinstance(shown, av.VideoFrame)
                squares.append(np.mean((shown.to_ndarray()[:240].astype(float) - luma) ** 2))
        errors[preset] = float(np.mean(squares))
    assert errors["superfast"] < 0.9 * errors["ultrafast"]
    assert errors["veryfast"] < 0.9 * errors["ultrafast"]


def test_the_maximum_bitrate_is_never_exceeded() -> None:
    encoding = Encoding(bitrate_bps=9_000_000, bitrate_max_bps=1_000_000)
    encoding.feed(30)
    encoding.encoder.set_bitrate(9_000_000)
    encoding.feed(30)
    assert bps(encoding.feed(90)) < 1_500_000


FULL = Colour(primaries=1, transfer=1, matrix=1, range=2)


@pytest.mark.parametrize("colour", (BT601, BT709, FULL))
def test_the_stream_has_its_colour_description(colour: Colour) -> None:
    [unit] = Encoding(colour=colour).feed(1)
    decoder = av.CodecContext.create("h264", "r")
    frames = [*decoder.decode(av.Packet(unit.payload)), *decoder.decode(None)]
    assert isinstance(decoder, av.VideoCodecContext)
    assert len(frames) == 1
    assert (
        int(decoder.color_primaries),
        int(decoder.color_trc),
        int(decoder.colorspace),
        int(decoder.color_range),
    ) == (colour.primaries, colour.transfer, colour.matrix, colour.range)


def test_it_is_constrained_baseline() -> None:
    [unit] = Encoding().feed(1)
    sps = unit.payload[unit.payload.index(b"\0\0\1\x67") + 4 :]
    assert sps[0] == 66  # profile_idc
    assert sps[1] & 0b0100_0000  # constraint_set1_flag


@pytest.mark.parametrize("pixel_format", ("yuv420p", "nv12"))
@pytest.mark.parametrize(("width", "height"), ((160, 120), (176, 144), (162, 122)))
def test_small_pictures(width: int, height: int, pixel_format: str) -> None:
    units = Encoding(width=width, height=height, pixel_format=pixel_format).feed(3)
    assert [unit.key for unit in units] == [True, False, False]


@pytest.mark.parametrize("fps", (1, 120))
def test_the_bounds_of_the_frame_rate(fps: int) -> None:
    assert len(Encoding(fps=fps, keyframe_interval_s=3600).feed(3)) == 3


@pytest.mark.parametrize("pixel_format", ("yuv420p", "nv12"))
def test_pictures_of_another_size_are_scaled(pixel_format: str) -> None:
    encoding = Encoding(width=320, height=180, pixel_format=pixel_format)
    encoding.source = (1280, 720)
    units = encoding.feed(3)
    assert {(unit.width, unit.height) for unit in units} == {(320, 180)}
    decoder = av.CodecContext.create("h264", "r")
    frames = [*decoder.decode(av.Packet(units[0].payload)), *decoder.decode(None)]
    assert [(frame.width, frame.height) for frame in frames if isinstance(frame, av.VideoFrame)] == [(320, 180)]


def test_fractional_frame_rates() -> None:
    """Every second picture of a film with 25 frames per second."""
    units = Encoding(fps=12.5, bitrate_bps=300_000, bitrate_max_bps=300_000).feed(100)
    assert bps(units[25:], fps=12.5) == pytest.approx(300_000, rel=0.1)


@pytest.mark.parametrize("bitrate_bps", (90_000, 150_000))
def test_no_burst_is_longer_than_a_second_at_a_low_rate(bitrate_bps: int) -> None:
    """Not even a second with key frames in it."""
    encoding = Encoding(width=640, height=360, fps=15, bitrate_bps=bitrate_bps, bitrate_max_bps=2_500_000)
    encoding.feed(30)
    units = encoding.feed(90, keys=(20, 40, 41, 70))
    sizes = [8 * len(unit.payload) for unit in units]
    assert max(sum(sizes[first : first + 15]) for first in range(75)) < 2 * bitrate_bps


def test_an_impossible_size_is_an_error() -> None:
    with pytest.raises(EncoderError, match="x264 does not accept 321x241"):
        Encoding(width=321, height=241)
