"""Truncated, empty and invalid files: each error names the file, and none is an internal error."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from device.clock import monotonic_us
from device.media.block import Block
from device.media.picture import AccessUnit
from device.sources.encoded_clip import EncodedClip
from device.sources.sound_clip import SoundClip
from device.sources.video_clip import VideoClip
from tests.unit.workers.watched import CAMERA, LIMIT_S, MICROPHONE, run_worker

if TYPE_CHECKING:
    from pathlib import Path

    from device.ipc.framing import Received
    from device.ipc.messages import Job

pytestmark = pytest.mark.usefixtures("no_orphans")


# 10 frames per second, all of one size.
_KEYS_EACH_SECOND = {"g": "10", "bf": "0"}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return an MP4 whose index comes first, as phones write it."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return noisy_film(path, {"movflags": "faststart"}, rate=30)


def failure(module: str, job: Job) -> tuple[str, str]:
    """Return the texts for operators and viewers from a worker that runs this; empty if it delivers data."""

    async def main() -> tuple[str, str]:
        media = asyncio.Event()

        def on_message(received: Received) -> None:
            if isinstance(received.message, AccessUnit | Block):
                media.set()

        async with run_worker(module, job, on_message) as child:
            delivered = asyncio.create_task(media.wait())
            waits: set[asyncio.Future[Any]] = {child.gone, delivered}
            async with asyncio.timeout(LIMIT_S):
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            delivered.cancel()
            return (child.gone.result(), child.for_viewers) if child.gone.done() else ("", "")

    return asyncio.run(main())


@pytest.mark.parametrize("encoder", ("x264", "copy"))
@pytest.mark.parametrize("size", (0, 40, 406, 1200, 0.1, 0.4))
def test_a_truncated_film_plays_the_rest_or_raises_with_its_name(
    film: bytes, tmp_path: Path, size: float, encoder: str
) -> None:
    path = tmp_path / "cut film.mp4"
    path.write_bytes(film[: size if isinstance(size, int) else int(len(film) * size)])
    job = replace(CAMERA, source="file", path=str(path), encoder=encoder)
    message, public = failure("device.workers.camera", job)
    assert "NoneType" not in message
    assert str(tmp_path) not in public
    if message:
        assert message.startswith(f"{path}: "), message
        assert public.startswith("the file ")


def noisy_film(path: Path, options: dict[str, str], *, rate: int, coding: dict[str, str] | None = None) -> bytes:
    """Make 60 frames of noise."""
    with av.open(str(path), "w", options=options) as container:
        video: Any = container.add_stream("libx264", rate=rate, options=coding)
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        chance = np.random.default_rng(1)
        for _ in range(60):
            noise = chance.integers(0, 255, (270, 320), np.uint8)
            container.mux(video.encode(VideoFrame.from_ndarray(noise, format="yuv420p")))
        container.mux(video.encode(None))
    return path.read_bytes()


@pytest.mark.parametrize("kind", ("decoded", "copied"))
@pytest.mark.parametrize(("suffix", "options"), (("mp4", {"movflags": "faststart"}), ("mkv", {})))
@pytest.mark.parametrize("ago_s", (1.5, 4.5))
def test_a_film_truncated_to_40_percent_plays_what_is_there_again_and_again(
    kind: str, suffix: str, options: dict[str, str], ago_s: float, tmp_path: Path
) -> None:
    """It declares 6 s and has 2.4 s."""
    whole = noisy_film(tmp_path / f"whole.{suffix}", options, rate=10, coding=_KEYS_EACH_SECOND)
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(whole[: len(whole) * 2 // 5])
    damaged: list[str] = []
    epoch_us = monotonic_us() - round(ago_s * 1e6)
    source: Any
    if kind == "copied":
        source = EncodedClip(path=str(path), epoch_us=epoch_us, on_damage=damaged.append)
        media = source.units()
    else:
        source = VideoClip(path=str(path), width=320, height=180, fps=10, epoch_us=epoch_us, on_damage=damaged.append)
        media = source.pictures()
    times = [each.captured_at_us for each in islice(media, 15)]
    assert source._loop.duration_us == pytest.approx(2_400_000, abs=250_000)
    assert max(np.diff(times)) < 1_100_000  # a copy waits for a key frame
    assert np.median(np.diff(times)) == pytest.approx(100_000, abs=5000)
    assert damaged == [str(path)]


def test_a_start_after_the_last_sound_is_silent_until_the_next_loop(tmp_path: Path) -> None:
    path = str(tmp_path / "film.mkv")
    with av.open(path, "w") as container:
        video: Any = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound: Any = container.add_stream("pcm_s16le", rate=48_000)
        loud = av.AudioFrame.from_ndarray(np.full((1, 48_000), 9000, np.int16), format="s16", layout="mono")
        loud.sample_rate = 48_000
        container.mux(sound.encode(loud))
        container.mux(sound.encode(None))
        for _ in range(50):
            container.mux(video.encode(VideoFrame.from_ndarray(np.full((72, 64), 99, np.uint8), format="yuv420p")))
        container.mux(video.encode(None))
    epoch_us = monotonic_us() - 4_500_000
    blocks = list(islice(SoundClip(path=path, channels=1, epoch_us=epoch_us).blocks(), 40))
    assert blocks[0].captured_at_us - epoch_us < 4_800_000
    assert not any(blocks[0].samples)
    assert any(blocks[-1].samples)
    assert set(np.diff([block.captured_at_us for block in blocks])) <= {19_999, 20_000, 20_001}


@pytest.mark.parametrize("content", (b"", b"RIFF", b"no sound at all" * 100, b"\0" * 5000))
def test_an_invalid_microphone_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(content)
    job = replace(MICROPHONE, source="file", path=str(path))
    message, public = failure("device.workers.microphone", job)
    assert message.startswith(f"{path}: "), message
    assert public.startswith("the file ")
