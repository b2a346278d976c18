"""A film as camera and microphone: recognised by a subscriber, with sound in sync."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from tests.support import daemon as daemons
from tests.support.clips import clip
from tests.support.watcher import watching

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from tests.support.livekit_server import Server

_THUMB = (36, 64)


def _thumbnail(luma: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return a picture's luma in 36 x 64 means."""
    height, width = luma.shape
    rows, columns = height // _THUMB[0], width // _THUMB[1]
    cut = luma[: rows * _THUMB[0], : columns * _THUMB[1]]
    means: npt.NDArray[np.float64] = cut.reshape(_THUMB[0], rows, _THUMB[1], columns).mean(axis=(1, 3))
    return means


def _pictures(path: str) -> npt.NDArray[np.float64]:
    with av.open(path) as container:
        return np.array(
            [
                _thumbnail(frame.to_ndarray(format="yuv420p")[: frame.height].astype(np.uint8, copy=False))
                for frame in container.decode(container.streams.video[0])
            ]
        )


def _distance(film: npt.NDArray[np.float64], luma: npt.NDArray[np.uint8]) -> float:
    """Return the mean luma difference between a picture and the most similar one of a film."""
    return float(np.abs(film - _thumbnail(luma)).mean(axis=(1, 2)).min())


@pytest.mark.alone
def test_clip_is_recognised(server: Server, room: str, config: Path) -> None:
    path = clip("bigbuckbunny.mp4")
    original, other = _pictures(path), _pictures(clip("bikes.mp4"))

    async def scenario() -> None:
        variables = daemons.environment(
            server,
            room,
            DEVICE_CAMERA__SOURCE="file",
            DEVICE_CAMERA__PATH=path,
            DEVICE_MICROPHONE__SOURCE="file",
            DEVICE_MICROPHONE__PATH=path,
        )
        async with watching(server, room) as watcher:
            with daemons.running(config, variables):
                # More than twice its 132 pictures, so the loop has restarted.
                await watcher.until(
                    lambda: len(watcher.pictures) > 300 and watcher.sound, within_s=60, what="the clip twice"
                )
                seen = [each for each in watcher.pictures if each.luma is not None]
                assert (seen[-1].width, seen[-1].height) == (1280, 720)
                for each in seen[:-1]:
                    assert each.luma is not None
                    # Measured: 1.2 of 219 to the clip itself, 20 or more to the other one.
                    assert _distance(original, each.luma) < 6
                    assert _distance(other, each.luma) > 10
                loudest = max(int(np.abs(block.samples).max()) for block in watcher.sound)
                assert loudest > 1000
                rate = 250 / (watcher.pictures[-1].at - watcher.pictures[-251].at)
                assert 20 < rate < 30  # the clip has 25 frames per second

    asyncio.run(scenario())


def test_small_clip_is_not_scaled_up(server: Server, room: str, config: Path) -> None:
    async def scenario() -> None:
        variables = daemons.environment(
            server,
            room,
            DEVICE_CAMERA__SOURCE="file",
            DEVICE_CAMERA__PATH=clip("carphone_pristine.mp4"),
            DEVICE_MICROPHONE__SOURCE="off",
        )
        async with watching(server, room) as watcher:
            with daemons.running(config, variables):
                await watcher.until(lambda: len(watcher.pictures) > 30, within_s=30, what="the small clip")
                assert (watcher.pictures[-1].width, watcher.pictures[-1].height) == (192, 144)  # square pixels

    asyncio.run(scenario())


def test_a_missing_clip_is_named_and_tried_again(server: Server, room: str, config: Path) -> None:
    variables = daemons.environment(
        server, room, DEVICE_CAMERA__SOURCE="file", DEVICE_CAMERA__PATH=str(config.parent / "film.mp4")
    )
    with daemons.running(config, variables) as daemon:
        line = daemon.event("worker.restarting", worker="camera")
        assert "film.mp4: cannot be opened" in line["why"]
        daemon.event("worker.restarting", worker="camera", since=len(daemon.lines))
        daemon.event("room.state", new="live")
