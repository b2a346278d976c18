"""A film that is decoded slower than real time: fewer pictures, but never none."""

from __future__ import annotations

import time
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from av.video.frame import VideoFrame
from hypothesis import given
from hypothesis import strategies as st

from device.clock import monotonic_us
from device.sources import loop, strip
from device.sources.encoded_clip import EncodedClip
from device.sources.pacing import LateFrames
from device.sources.planes import writable
from device.sources.video_clip import VideoClip
from tests.support import films

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from device.media.picture import FramePicture

pytestmark = pytest.mark.alone

_US = 1_000_000
_FPS = 30


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a minute of film with a single key frame; the luma of each picture encodes its second."""
    path = tmp_path_factory.mktemp("slow") / "film.mp4"
    with av.open(path, "w") as container:
        stream: Any = container.add_stream("libx264", rate=_FPS)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 64, "yuv420p", 100_000
        stream.options = {"preset": "ultrafast", "sc_threshold": "0"}
        for number in range(60 * _FPS):
            frame = VideoFrame.from_ndarray(np.full((96, 64), 16 + 3 * (number // _FPS), np.uint8), format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def slow(monkeypatch: pytest.MonkeyPatch, seconds_per_frame: float) -> list[int]:
    """Delay the decoding of each frame; return a list that collects the film times of the decoded frames."""
    frames = loop.Loop.frames
    decoded_us: list[int] = []

    def slowly(self: loop.Loop, kind: Any) -> Iterator[Any]:
        for frame in frames(self, kind):
            time.sleep(seconds_per_frame)
            decoded_us.append(frame[1])
            yield frame

    monkeypatch.setattr(loop.Loop, "frames", slowly)
    return decoded_us


def clip(film: Path, *, begun_s_ago: float) -> VideoClip:
    epoch_us = monotonic_us() - int(begun_s_ago * _US)
    return VideoClip(path=str(film), width=64, height=64, fps=_FPS, epoch_us=epoch_us)


def luma_of(picture: FramePicture) -> int:
    return memoryview(picture.frame.planes[0])[0]


def test_decoding_at_half_the_speed_yields_fewer_pictures_with_the_time_at_which_they_are_shown(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow(monkeypatch, 2 / _FPS)
    source = clip(film, begun_s_ago=0)
    began = time.monotonic()
    shown = []
    for picture in source.pictures():
        shown.append((time.monotonic(), picture.captured_at_us / _US))
        if time.monotonic() - began > 6:
            break
    late = [(at, captured) for at, captured in shown if at - began > 2]
    assert len(late) >= 20  # 5 a second and more
    assert max(later - sooner for (sooner, _), (later, _) in pairwise(late)) < 0.5
    assert all(0 <= at - captured < 0.1 for at, captured in late)
    assert source.missed > 0


def test_a_start_in_the_middle_of_a_film_with_one_key_frame_shows_a_picture_within_3_s(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow(monkeypatch, 0.02)  # 45 s of film are 1350 frames: 27 s
    began = time.monotonic()
    source = clip(film, begun_s_ago=45)
    pictures = source.pictures()
    first = next(pictures)
    assert time.monotonic() - began < 3
    assert abs(first.captured_at_us - monotonic_us()) < 0.2 * _US
    # It continues from there.
    later = list(islice(pictures, 10))
    assert time.monotonic() - began < 6
    lumas = [luma_of(each) for each in (first, *later)]
    assert lumas == sorted(lumas)


def test_a_start_in_the_middle_that_is_decoded_in_time_shows_no_earlier_picture(film: Path) -> None:
    source = clip(film, begun_s_ago=45)
    first = next(source.pictures())
    assert abs((luma_of(first) - 16) / 3 - 45) <= 3


def test_a_late_loop_ends_on_time_so_that_the_next_one_is_in_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow(monkeypatch, 3 / films.FPS)
    path = films.film(tmp_path / "film.mp4", times=range(2 * films.FPS))
    epoch_us = monotonic_us()
    source = VideoClip(path=path, width=192, height=108, fps=films.FPS, epoch_us=epoch_us)
    found = []
    for picture in source.pictures():
        reading = strip.read(writable(picture.frame)[0])
        assert reading
        found.append((picture.captured_at_us, reading.number))
        if picture.captured_at_us > epoch_us + 4.5 * _US:
            break
    times = [at for at, _ in found]
    assert times == sorted(set(times))  # never backwards, although some are late and some are not
    for loop_number in (1, 2):
        start_us = epoch_us + loop_number * 2 * _US
        at, number = next((at, number) for at, number in found if at >= start_us)
        assert at - start_us < 0.5 * _US
        assert number < 5  # not the rest of the previous loop


def test_unreferenced_pictures_are_not_decoded_while_decoding_is_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded_us = slow(monkeypatch, 2 / films.FPS)
    path = films.film(tmp_path / "film.mp4", bframes=2, gop=300, times=range(4 * films.FPS))
    source = VideoClip(path=path, width=192, height=108, fps=films.FPS, epoch_us=monotonic_us())
    decoded_us.clear()  # the first picture is decoded to learn its size
    pictures = source.pictures()
    before = len(decoded_us)
    for _ in islice(pictures, 60):
        if source._loop.stream.codec_context.skip_frame == "NONREF":
            break
        before = len(decoded_us)
    # It catches up, or its loop ends: then all are decoded again.
    for _ in islice(pictures, 60):
        if source._loop.stream.codec_context.skip_frame == "DEFAULT":
            break
    steps = np.diff(decoded_us)
    assert set(np.round(steps[: before - 1] * films.FPS / _US)) == {1}
    assert max(np.round(steps[before:] * films.FPS / _US)) == 2
    assert source._loop.stream.codec_context.skip_frame == "DEFAULT"


def film_with_long_sound(path: Path) -> str:
    """Make a second of film, grey, with ten seconds of silence."""
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound: Any = container.add_stream("pcm_s16le", rate=48_000)
        for _ in range(10):
            container.mux(video.encode(VideoFrame.from_ndarray(np.full((72, 64), 99, np.uint8), format="yuv420p")))
        container.mux(video.encode(None))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 480_000), np.int16), format="s16", layout="mono")
        silence.sample_rate = 48_000
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    return str(path)


def test_a_start_after_the_last_picture_shows_the_last_picture(tmp_path: Path) -> None:
    path = film_with_long_sound(tmp_path / "film.mkv")
    began = time.monotonic()
    source = VideoClip(path=path, width=64, height=48, fps=10, epoch_us=monotonic_us() - 6 * _US)
    first, second = islice(source.pictures(), 2)
    assert time.monotonic() - began < 3
    assert luma_of(first) == luma_of(second) == pytest.approx(99, abs=2)
    assert second.captured_at_us - first.captured_at_us == pytest.approx(_US, abs=0.1 * _US)


class Unseekable:
    """A container that cannot seek, such as one on a pipe."""

    def __init__(self, whole: Any) -> None:
        self._whole = whole

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)

    def seek(self, _offset: int) -> None:
        raise av.error.PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("kind", (VideoClip, EncodedClip))
def test_a_file_that_cannot_seek_is_played_from_its_beginning(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = films.film(tmp_path / "film.mp4", times=range(8 * films.FPS))
    whole = av.open
    monkeypatch.setattr(av, "open", lambda path: Unseekable(whole(path)))
    epoch_us = monotonic_us() - 3 * _US
    if kind is EncodedClip:
        assert next(EncodedClip(path=path, epoch_us=epoch_us).units()).key
    else:
        source = VideoClip(path=path, width=192, height=108, fps=films.FPS, epoch_us=epoch_us)
        assert next(source.pictures()).captured_at_us >= epoch_us + 3 * _US


def test_cover_art_is_not_played(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        cover: Any = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 16, 16, "rgb24"
        cover.disposition = Disposition.attached_pic
        video: Any = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        container.mux(cover.encode(VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")))
        container.mux(cover.encode(None))
        for _ in range(10):
            container.mux(video.encode(VideoFrame.from_ndarray(np.full((72, 64), 99, np.uint8), format="yuv420p")))
        container.mux(video.encode(None))
    source = VideoClip(path=str(path), width=640, height=480, fps=10, epoch_us=monotonic_us())
    assert (source.width, source.height) == (64, 48)


@given(decode_ms=st.integers(1, 400), fps=st.integers(1, 60), start_s=st.integers(0, 150), show_ms=st.integers(0, 50))
def test_at_any_decoding_speed_pictures_are_at_most_3_s_apart(
    decode_ms: int, fps: int, start_s: int, show_ms: int
) -> None:
    """In virtual time: a file with one key frame, started in its middle, with up to 400 ms for each frame."""
    late = LateFrames(period_us=_US // fps)
    now_us = start_s * _US
    shown = [now_us]
    for number in range(400):
        now_us += decode_ms * 1000
        due_us = number * _US // fps
        if late.admits(due_us, now_us):
            now_us = max(due_us, now_us)
            shown.append(now_us)
            now_us += show_ms * 1000
    first, *gaps = np.diff(shown) if len(shown) > 1 else (now_us - shown[0],)
    assert first <= 1_400_000
    assert max(gaps, default=0) <= max(100_000 + (decode_ms + show_ms) * 1000, _US // fps + 1)


def test_loops_that_have_ended_are_skipped(film: Path) -> None:
    running = loop.Loop(str(film), "video", monotonic_us() - 30 * _US)
    starts = running.starts()
    next(starts)
    running._epoch_us -= 200 * _US  # as if decoding had taken this long
    assert 0 <= monotonic_us() - next(starts) < 60 * _US
