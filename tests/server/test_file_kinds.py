"""Kinds of files, and a rotation, in a room: a subscriber decodes what the daemon makes of them."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from device.sources import strip
from tests.support import daemon as daemons
from tests.support.films import FPS, film
from tests.support.watcher import watching

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.livekit_server import Server
    from tests.support.watcher import Seen

_FRAMES = 2 * FPS


def test_a_recording_without_duration_continues_across_loops_in_step_with_its_sound(
    server: Server, room: str, config: Path
) -> None:
    times = range(_FRAMES)
    path = film(config.parent / "recorded.webm", size=(640, 360), codec="libvpx", live=True, tone=True, times=times)

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
                starts: list[Seen] = []

                def looped() -> bool:
                    """Return whether three loops have begun while sound was received."""
                    seen = [each for each in watcher.pictures if each.reading]
                    starts[:] = [
                        after
                        for before, after in pairwise(seen)
                        if number(after) < number(before) and number(after) < 3
                    ]
                    return len(starts) > 2 and len(watcher.sound) > 500

                await watcher.until(looped, within_s=40, what="three loops")
                steps = [
                    (after.user_timestamp_us - before.user_timestamp_us) / 1e6 for before, after in pairwise(starts)
                ]
                # The sound may be longer than the 2 s of pictures by a block of Opus.
                assert all(1.9 < step < 2.15 for step in steps)
                # Only the first 0.2 s of each loop are loud.
                loud = [each.epoch_s for each in watcher.sound if np.abs(each.samples).max() > 5000]
                begins = [after for before, after in pairwise(loud) if after - before > 1]
                for start in starts[1:-1]:  # the sound of the last one may not have arrived yet
                    assert min(abs(start.epoch_s - at) for at in begins) < 0.3

    asyncio.run(scenario())


def test_a_rotation_makes_a_portrait_that_can_be_read(server: Server, room: str, config: Path) -> None:
    """The pattern's strip along the lower edge is read after the picture is turned back."""

    async def scenario() -> None:
        variables = daemons.environment(
            server,
            room,
            DEVICE_CAMERA__WIDTH="640",
            DEVICE_CAMERA__HEIGHT="360",
            DEVICE_CAMERA__ROTATE="90",
            DEVICE_MICROPHONE__SOURCE="off",
        )
        async with watching(server, room) as watcher:
            with daemons.running(config, variables) as daemon:

                def upright() -> bool:
                    newest = watcher.pictures[-1] if watcher.pictures else None
                    if newest is None or newest.luma is None or (newest.width, newest.height) != (360, 640):
                        return False
                    return strip.read(np.ascontiguousarray(np.rot90(newest.luma))) is not None

                await watcher.until(upright, within_s=30, what="a portrait with a strip at its left edge")
                assert {(each.width, each.height) for each in watcher.pictures} == {(360, 640)}
                daemon.event("worker.capturing", width=360, height=640, encoder="x264")

    asyncio.run(scenario())


def number(seen: Seen) -> int:
    assert seen.reading
    return seen.reading.number
