"""An H.264 file that is passed through: a subscriber decodes it across loops and checks its times."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.support import daemon as daemons
from tests.support.films import FPS, film
from tests.support.watcher import Seen, watching

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.livekit_server import Server

_FRAMES = 2 * FPS


def passed_through(server: Server, room: str, path: str) -> dict[str, str]:
    """Return the environment of a daemon that passes a film through, without sound."""
    return daemons.environment(
        server,
        room,
        DEVICE_CAMERA__SOURCE="file",
        DEVICE_CAMERA__PATH=path,
        DEVICE_CAMERA__ENCODER="copy",
        DEVICE_MICROPHONE__SOURCE="off",
    )


@pytest.mark.alone
def test_pictures_continue_across_loops(server: Server, room: str, config: Path) -> None:
    path = film(config.parent / "film.mp4", size=(640, 360), gop=FPS // 2, times=range(_FRAMES))

    async def scenario() -> None:
        variables = passed_through(server, room, path)
        async with watching(server, room) as watcher:
            with daemons.running(config, variables) as daemon:
                seen: list[Seen] = []

                def gapless() -> bool:
                    """Return whether the last pictures have consecutive numbers for more than one loop."""
                    seen[:] = [each for each in watcher.pictures if each.reading][-_FRAMES - 20 :]
                    return len(seen) == _FRAMES + 20 and all(
                        (number(after) - number(before)) % _FRAMES == 1 for before, after in pairwise(seen)
                    )

                await watcher.until(gapless, within_s=60, what="a loop without a gap")
                for before, after in pairwise(seen):
                    # The capture time in the metadata is the time at which the file's picture is due.
                    assert after.user_timestamp_us - before.user_timestamp_us == pytest.approx(1e6 / FPS, abs=3000)
                assert (seen[-1].width, seen[-1].height) == (640, 360)
                assert not [line for line in daemon.lines if line.get("event") == "camera.requests_ignored"]

    asyncio.run(scenario())


@pytest.mark.alone
def test_a_late_viewer_of_a_file_with_rare_key_frames_has_a_picture_within_a_second(
    server: Server, room: str, config: Path
) -> None:
    path = film(config.parent / "film.mp4", size=(320, 180), gop=20 * FPS, times=range(20 * FPS))
    variables = passed_through(server, room, path)

    async def scenario() -> None:
        async with watching(server, room) as first:
            with daemons.running(config, variables):
                await first.until(lambda: len(first.pictures) > FPS, within_s=15, what="a second of pictures")
                waits = []
                for number in range(3):
                    began = time.monotonic()
                    async with watching(server, room, identity=f"late-{number}") as late:
                        await late.until(lambda: bool(late.pictures), within_s=15, what="a picture")
                        waits.append(time.monotonic() - began)
                assert sorted(waits)[1] < 1.5, waits  # joining and subscribing are half a second of it

    asyncio.run(scenario())


def test_a_file_that_cannot_be_passed_through_is_an_error(server: Server, room: str, config: Path) -> None:
    path = film(config.parent / "film.mp4", bframes=2)
    variables = daemons.environment(
        server, room, DEVICE_CAMERA__SOURCE="file", DEVICE_CAMERA__PATH=path, DEVICE_CAMERA__ENCODER="copy"
    )
    with daemons.running(config, variables) as daemon:
        line = daemon.event("worker.restarting", worker="camera")
        assert "film.mp4: cannot be passed through: it has B-frames" in line["why"]


def number(seen: Seen) -> int:
    assert seen.reading
    return seen.reading.number
