"""Files as phones, browsers and cameras write them: without duration, without times, turned, at uneven rates."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from device.errors import SourceError
from device.sources import encoded_clip, loop, sound_clip, strip, video_clip
from device.sources.encoded_clip import EncodedClip
from device.sources.packet_times import BurstRate
from device.sources.planes import writable
from device.sources.sound_clip import SoundClip
from device.sources.video_clip import VideoClip
from tests.support.films import FPS, film

if TYPE_CHECKING:
    from pathlib import Path

    from device.media.picture import FramePicture

US = 1_000_000
_START_US = 1_000 * US
_now_us = _START_US
PERIOD_US = US // FPS
_VP8: dict[str, Any] = {"codec": "libvpx", "live": True}
UNTIMED: dict[str, dict[str, Any]] = {
    "film.h264": {},
    "with b-frames.h264": {"bframes": 2},
    "recorded.webm": _VP8,
    "live.mkv": {"live": True},
    "film.mjpeg": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
}


@pytest.fixture(autouse=True)
def virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time pass only by sleeping: the tests are fast, and a busy machine does not make pictures late."""

    def sleep_until_us(due_at_us: int) -> None:
        global _now_us  # noqa: PLW0603 - the clock of this module
        _now_us = max(_now_us, due_at_us)

    monkeypatch.setitem(globals(), "_now_us", _START_US)
    for module in (encoded_clip, loop, sound_clip, video_clip):
        monkeypatch.setattr(module, "monotonic_us", monotonic_us)
        if module is not loop:
            monkeypatch.setattr(module, "sleep_until_us", sleep_until_us)


def monotonic_us() -> int:
    return _now_us


def clip(path: str, *, ago_us: int = 0, fps: int = 30) -> VideoClip:
    return VideoClip(path=path, width=1280, height=720, fps=fps, epoch_us=monotonic_us() - ago_us)


def number(picture: FramePicture) -> int:
    return number_in(picture.frame)


def number_in(frame: av.VideoFrame) -> int:
    reading = strip.read(writable(frame)[0])
    assert reading
    return reading.number


@pytest.mark.alone
@pytest.mark.parametrize("name", UNTIMED)
@pytest.mark.parametrize("ago_us", (0, 700_000))
def test_a_film_without_duration_plays_to_its_end_and_then_again(tmp_path: Path, name: str, ago_us: int) -> None:
    source = clip(film(tmp_path / name, **UNTIMED[name]), ago_us=ago_us)
    pictures = list(islice(source.pictures(), 35))
    times = [picture.captured_at_us for picture in pictures]
    period_us = US // 25 if name == "film.mjpeg" else PERIOD_US  # it has no rate: 25 a second are assumed
    assert source._loop.duration_us == pytest.approx(FPS * period_us, abs=3000)
    for (before_us, after_us), (before, after) in zip(
        pairwise(times), pairwise([number(each) for each in pictures]), strict=True
    ):
        assert (after - before) % FPS == round((after_us - before_us) / period_us)
    assert number(pictures[0]) == pytest.approx(ago_us / period_us, abs=6)


@pytest.mark.alone
@pytest.mark.parametrize("name", ("film.h264", "live.mkv"))
@pytest.mark.parametrize("ago_us", (0, 700_000))
def test_a_film_without_duration_is_passed_through(tmp_path: Path, name: str, ago_us: int) -> None:
    epoch_us = monotonic_us() - ago_us
    source = EncodedClip(path=film(tmp_path / name, **UNTIMED[name]), epoch_us=epoch_us)
    assert source.fps == FPS
    units = list(islice(source.units(), 35))
    keys = [unit.captured_at_us - epoch_us for unit in units if unit.key]
    assert {round(at / PERIOD_US) % 10 for at in keys[1:]} == {0}
    assert units[-1].captured_at_us - units[0].captured_at_us > US


@pytest.mark.alone
def test_sound_of_a_film_without_duration_is_in_step_with_its_pictures(tmp_path: Path) -> None:
    path = film(tmp_path / "recorded.webm", times=range(2 * FPS), tone=True, **_VP8)
    pictures = list(islice(clip(path, ago_us=1_700_000).pictures(), 15))
    epoch_us = monotonic_us() - 1_800_000
    sound = SoundClip(path=path, channels=1, epoch_us=epoch_us)
    assert sound._loop.duration_us == clip(path)._loop.duration_us == pytest.approx(2 * US, abs=50_000)
    blocks = list(islice(sound.blocks(), 30))
    loud = [block for block in blocks if np.abs(np.frombuffer(block.samples, np.int16).astype(int)).max() > 9000]
    assert loud[0].captured_at_us - epoch_us == pytest.approx(sound._loop.duration_us, abs=40_000)
    assert not any(np.abs(np.frombuffer(blocks[0].samples, np.int16).astype(int)) > 9000)  # it begins before that
    assert 0 in [number(each) for each in pictures]


@pytest.mark.alone
def test_a_large_film_without_duration_plays_at_once_and_is_read_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_SURVEY_S", 0.0)
    path = film(tmp_path / "live.mkv", live=True)
    source = clip(path)
    numbers = [number(each) for each in islice(source.pictures(), 40)]
    assert numbers == [each % FPS for each in range(40)]
    # Started long ago: it is not known yet in which loop, so this one begins at once.
    monkeypatch.setattr(loop, "_SURVEY_FOR_START_S", 0.0)
    source = clip(path, ago_us=100 * US + US // 2)
    coming = source.pictures()
    assert number(next(coming)) == 0
    later = list(islice(coming, FPS + 10))
    inside_us = (later[-1].captured_at_us - source._loop._epoch_us) % source._loop.duration_us
    assert number(later[-1]) == pytest.approx(inside_us / PERIOD_US, abs=1.5)


@pytest.mark.parametrize(
    ("suffix", "how", "said"),
    (
        ("mp4", {"rotation": 90}, "has a rotation"),
        ("mkv", {"sample_aspect": Fraction(16, 11)}, "has pixels that are not square"),
        ("mkv", {"interlaced": True}, "is interlaced"),
    ),
)
def test_what_only_decoding_can_mend_is_mended_and_refused_by_copy(
    tmp_path: Path, suffix: str, how: dict[str, Any], said: str
) -> None:
    path = film(tmp_path / f"film.{suffix}", size=(192, 128), **how)
    with pytest.raises(SourceError) as refused:
        EncodedClip(path=path, epoch_us=0)
    assert str(refused.value).startswith(f"{path}: cannot be passed through: it {said}")
    assert str(refused.value).endswith('use encoder = "auto" to have it encoded again')
    source = clip(path)
    picture = next(source.pictures())
    expected = {"has a rotation": (128, 192), "is interlaced": (192, 128)}.get(said, (278, 128))
    assert (picture.frame.width, picture.frame.height) == (source.width, source.height) == expected
    luma = writable(picture.frame)[0]
    upright = np.rot90(luma, -1) if said == "has a rotation" else luma
    assert strip.read(np.ascontiguousarray(upright))


@pytest.mark.alone
def test_a_burst_in_a_film_of_variable_rate_keeps_its_rate(tmp_path: Path) -> None:
    times = [*range(0, 30, 6), *range(30, 50), *range(50, 80, 6)]
    source = clip(film(tmp_path / "film.mkv", times=times))
    assert source.fps == FPS  # its average is 11
    pictures = list(islice(source.pictures(), len(times)))
    assert [number(each) for each in pictures] == list(range(len(times)))
    epoch_us = source._loop._epoch_us
    assert [round((each.captured_at_us - epoch_us) / PERIOD_US) for each in pictures] == times


def test_the_rate_of_a_burst() -> None:
    rate = BurstRate()
    assert rate.fps is None
    for at_ms in (0, 200, 400, 433, 467, 533, 500, 567, 600, 800):
        rate.add(at_ms * 1000)
    assert rate.fps == pytest.approx(30, rel=0.01)


def test_a_cover_picture_before_the_film_is_not_the_film(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        cover: Any = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 500, 500, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        video: Any = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for each in cover.encode(av.VideoFrame(500, 500, "rgb24")):
            container.mux(each)
        for _ in range(10):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.full((72, 64), 99, np.uint8), format="yuv420p")))
        container.mux(cover.encode(None))
        container.mux(video.encode(None))
    source = clip(str(path))
    assert (source.width, source.height) == (64, 48)


def test_sound_that_changes_its_channels_and_rate_goes_on(tmp_path: Path) -> None:
    """MP3 frames may change from one to the next; here half a second of mono at 44.1 kHz before stereo at 48 kHz."""
    path = tmp_path / "sound.mp3"
    path.write_bytes(mp3("mono", 44_100, 1000) + mp3("stereo", 48_000, 2000))
    source = SoundClip(path=str(path), channels=1, epoch_us=monotonic_us())
    blocks = list(islice(source.blocks(), 45))
    tones = [dominant_hz(blocks[first : first + 10]) for first in (8, 32)]
    assert tones == pytest.approx([1000, 2000], rel=0.02)


def mp3(layout: str, rate: int, hz: int) -> bytes:
    encoder: Any = av.CodecContext.create("libmp3lame", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = rate, layout, "s16p", 128_000
    encoder.open()
    tone = (9000 * np.sin(2 * np.pi * hz * np.arange(rate // 2) / rate)).astype(np.int16)
    found, size = b"", encoder.frame_size or 1152
    for start in range(0, len(tone) - size, size):
        rows = np.stack([tone[start : start + size]] * (2 if layout == "stereo" else 1))
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(rows), format="s16p", layout=layout)
        frame.sample_rate = rate
        found += b"".join(bytes(packet) for packet in encoder.encode(frame))
    return found + b"".join(bytes(packet) for packet in encoder.encode(None))


def dominant_hz(blocks: list[Any]) -> float:
    samples = np.concatenate([np.frombuffer(block.samples, np.int16) for block in blocks]).astype(float)
    return float(np.argmax(np.abs(np.fft.rfft(samples * np.hanning(len(samples))))) * 48_000 / len(samples))


@pytest.mark.parametrize("name", ("b-frames.avi", "film.avi", "b-frames.ts", "film.mpg", "film.flv", "film.m2v"))
def test_each_container_gives_all_its_pictures_in_order_at_their_times_in_each_loop(tmp_path: Path, name: str) -> None:
    how: dict[str, Any] = {"bframes": 2} if name.startswith("b-frames") else {}
    codec = {"mpg": "mpeg2video", "m2v": "mpeg2video"}.get(name[-3:], "libx264")
    source = clip(film(tmp_path / name, codec=codec, **how))
    assert source._loop.duration_us == pytest.approx(US, abs=50_000)
    for _ in range(2):
        source._loop.rewind()
        found = {number_in(frame): at_us / PERIOD_US for frame, at_us in source._loop.frames(av.VideoFrame)}
        assert list(found) == list(range(FPS))
        # FFmpeg lets an elementary stream of MPEG-2 begin one picture late.
        assert list(found.values()) == pytest.approx(list(found), abs=1.1 if name == "film.m2v" else 0.1)
