"""Passing a file through: the units are decoded again, and the strip shows the picture's number."""

from __future__ import annotations

from itertools import islice, pairwise
from typing import TYPE_CHECKING

import av
import pytest

from device.clock import monotonic_us
from device.errors import SourceError
from device.sources import strip
from device.sources.annexb import IDR, PPS, SPS, nal_types
from device.sources.encoded_clip import EncodedClip
from device.sources.planes import writable
from tests.support.films import FPS, film

if TYPE_CHECKING:
    from pathlib import Path

    from device.media.picture import AccessUnit

US = 1_000_000
FRAMES, GOP = 30, 10
PERIOD_US = US // FPS


def clip(path: str, *, ago_us: int = 0) -> EncodedClip:
    return EncodedClip(path=path, epoch_us=monotonic_us() - ago_us)


def numbers(units: list[AccessUnit]) -> list[int]:
    """Return the number in each unit's decoded picture."""
    decoder = av.CodecContext.create("h264", "r")
    decoder.flags |= av.codec.context.Flags.low_delay
    found = []
    for unit in units:
        frames = decoder.decode(av.Packet(unit.payload))
        found += frames
    found += decoder.decode(None)
    readings = [strip.read(writable(frame)[0]) for frame in found if isinstance(frame, av.VideoFrame)]
    return [reading.number for reading in readings if reading]


@pytest.mark.parametrize("suffix", ("mp4", "mkv", "ts"))
def test_units_match_the_file_and_continue_across_loops(tmp_path: Path, suffix: str) -> None:
    source = clip(film(tmp_path / f"film.{suffix}"))
    units = list(islice(source.units(), 2 * FRAMES + 5))
    assert monotonic_us() >= units[-1].captured_at_us  # units are yielded when they are due
    assert numbers(units) == [number % FRAMES for number in range(2 * FRAMES + 5)]
    assert [unit.number for unit in units] == list(range(1, 2 * FRAMES + 6))
    assert [unit.key for unit in units] == [number % FRAMES % GOP == 0 for number in range(2 * FRAMES + 5)]
    for before, after in pairwise(units):
        assert after.captured_at_us - before.captured_at_us == pytest.approx(PERIOD_US, abs=2000)
    assert {(unit.width, unit.height) for unit in units} == {(192, 108)}


@pytest.mark.parametrize("suffix", ("mp4", "mkv", "ts"))
def test_each_key_frame_has_its_parameter_sets(tmp_path: Path, suffix: str) -> None:
    for unit in islice(clip(film(tmp_path / f"film.{suffix}")).units(), FRAMES + GOP):
        assert unit.payload.startswith((b"\0\0\0\1", b"\0\0\1"))
        assert unit.key == (IDR in nal_types(unit.payload))
        assert (nal_types(unit.payload) >= {SPS, PPS}) == unit.key


def test_a_start_in_the_middle_repeats_the_last_key_frame_until_the_next_is_due(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4", gop=90, times=range(120))
    started_us = monotonic_us()
    units = list(islice(clip(path, ago_us=US).units(), 62))
    # The next key frame is 2 s away: until then the first one is sent in place of units that reference other ones.
    moving = next(index for index, unit in enumerate(units) if not unit.key)
    assert numbers(units[: moving + 1]) == [0] * (moving - 1) + [90, 91]
    assert all(unit.payload is units[0].payload for unit in units[: moving - 1])
    assert units[0].captured_at_us - started_us < US
    for before, after in pairwise(units[: moving + 1]):
        assert 0 < after.captured_at_us - before.captured_at_us < 15 * PERIOD_US


def test_after_a_still_of_3_s_the_file_plays_from_that_key_frame_until_the_loop_ends(tmp_path: Path) -> None:
    """A file of 12 s with one key frame, started at 6.5 s: 3 s of still, 2.5 s of the file, the next loop on time."""
    path = film(tmp_path / "film.mp4", gop=10_000, times=range(12 * FPS))
    source = clip(path, ago_us=6 * US + US // 2)
    epoch_us = source._loop._epoch_us
    units = []
    for unit in source.units():
        units.append(unit)
        if unit.captured_at_us >= epoch_us + 12 * US + US // 4:
            break
    for before, after in pairwise(units):
        assert 0 < after.captured_at_us - before.captured_at_us < US + 5 * PERIOD_US
    keys = [index for index, unit in enumerate(units) if unit.key]
    still, moving, again = keys[:-2], units[keys[-2] : keys[-1]], units[keys[-1] :]
    assert 2 < len(still) / FPS < 4
    assert numbers(moving) == list(range(len(moving)))
    assert 1 < len(moving) / FPS < 3
    assert again[0].captured_at_us - epoch_us == pytest.approx(12 * US, abs=PERIOD_US)
    assert numbers(again) == list(range(len(again)))


def test_slightly_late_units_are_sent(tmp_path: Path) -> None:
    units = list(islice(clip(film(tmp_path / "film.mp4"), ago_us=200_000).units(), 12))
    assert numbers(units) == list(range(12))


@pytest.mark.parametrize(
    ("suffix", "how", "said"),
    (
        ("mp4", {"bframes": 2}, "B-frames; allowed: H.264 without"),
        ("mkv", {"bframes": 2}, "B-frames; allowed: H.264 without"),
        ("mp4", {"codec": "mpeg4"}, "is mpeg4; allowed: h264"),
        ("mp4", {"pixel_format": "yuv422p"}, "in yuv422p; allowed: 8 bits a sample, 4:2:0"),
        ("mp4", {"pixel_format": "yuv420p10le"}, "in yuv420p10le; allowed: 8 bits a sample, 4:2:0"),
        ("mp4", {"times": (0, 1, 2, 50, 51)}, "no picture for 1.6 s; allowed: 1 s at most"),
    ),
)
def test_a_file_that_cannot_be_passed_through_is_an_error(
    tmp_path: Path, suffix: str, how: dict[str, int], said: str
) -> None:
    path = film(tmp_path / f"film.{suffix}", **how)  # type: ignore[arg-type]  # a table of arguments
    with pytest.raises(SourceError) as refused:
        list(islice(clip(path).units(), FRAMES))
    assert str(refused.value).startswith(f"{path}: cannot be passed through: it ")
    assert said in str(refused.value)
    assert str(refused.value).endswith('use encoder = "auto" to have it encoded again')


def test_missing_parameter_sets_are_an_error(tmp_path: Path) -> None:
    source = clip(film(tmp_path / "film.mp4"))
    with pytest.raises(SourceError, match="key frames without parameter sets"):
        source._complete(b"\0\0\0\1\x65" + bytes(100))


def test_missing_parameter_sets_are_inserted_before_key_frames(tmp_path: Path) -> None:
    source = clip(film(tmp_path / "film.ts"))
    unit, key = source._complete(b"\0\0\0\1\x65" + bytes(100))
    assert key
    assert nal_types(unit) == {SPS, PPS, IDR}


def test_nal_types_end_with_the_first_slice() -> None:
    assert nal_types(b"\0\0\0\1\x67abc\0\0\1\x68d\0\0\1\x65xyz\0\0\1\x06") == {SPS, PPS, IDR}
    assert nal_types(b"\0\0\1") == set()
    assert nal_types(b"") == set()
