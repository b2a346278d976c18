"""A film that cannot be decoded in real time: fewer pictures, never none."""

from __future__ import annotations

import time
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from device.clock import monotonic_us
from device.sources import loop
from device.sources.video_clip import VideoClip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from device.media.picture import FramePicture

_US = 1_000_000
_FPS = 30


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a minute of film with a single key frame; the luma of each picture tells its second."""
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


def slow(monkeypatch: pytest.MonkeyPatch, seconds_per_frame: float) -> None:
    """Have each frame take so long to decode."""
    frames = loop.Loop.frames

    def slowly(self: loop.Loop, kind: Any) -> Iterator[Any]:
        for frame in frames(self, kind):
            time.sleep(seconds_per_frame)
            yield frame

    monkeypatch.setattr(loop.Loop, "frames", slowly)


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
    # It goes on from there.
    later = list(islice(pictures, 10))
    assert time.monotonic() - began < 6
    lumas = [luma_of(each) for each in (first, *later)]
    assert lumas == sorted(lumas)


def test_a_start_in_the_middle_that_is_decoded_in_time_shows_nothing_of_before(film: Path) -> None:
    source = clip(film, begun_s_ago=45)
    first = next(source.pictures())
    assert abs((luma_of(first) - 16) / 3 - 45) <= 3


def test_loops_that_are_over_are_left_out(film: Path) -> None:
    running = loop.Loop(str(film), "video", monotonic_us() - 30 * _US)
    starts = running.starts()
    next(starts)
    running._epoch_us -= 200 * _US  # as if decoding had taken so long
    assert 0 <= monotonic_us() - next(starts) < 60 * _US
