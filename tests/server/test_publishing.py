"""What a subscriber receives from the synthetic sources."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from livekit import rtc

import device
from tests.support import daemon as daemons
from tests.support.watcher import Heard, Seen, Watcher, dominant_hz, watching

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.livekit_server import Server

_FIRST_S = 30.0


def _numbers(watcher: Watcher) -> list[int]:
    return [seen.reading.number for seen in watcher.pictures if seen.reading]


def _gapless_run(numbers: list[int]) -> int:
    """Return how many consecutive numbers are at the end of the list."""
    run = 1
    while run < len(numbers) and numbers[-run] - numbers[-run - 1] == 1:
        run += 1
    return run


@pytest.mark.alone
def test_pictures_are_correct_and_without_gaps(server: Server, room: str, config: Path) -> None:
    async def scenario() -> None:
        async with watching(server, room) as watcher:
            with daemons.running(config, daemons.environment(server, room)):
                await watcher.until(
                    lambda: len(watcher.pictures) > 100 and _gapless_run(_numbers(watcher)) >= 90,
                    within_s=60,
                    what="90 pictures with consecutive frame numbers",
                )
                seen = watcher.pictures[-1]
                assert (seen.width, seen.height) == (1280, 720)
                _assert_bars(seen)
                readable = [each for each in list(watcher.pictures)[-90:] if each.reading]
                assert len(readable) >= 89
                for each in readable:
                    assert each.reading
                    # Metadata and picture have the same capture time; the clock may be slewed a little.
                    assert abs(each.user_timestamp_us - each.reading.captured_at_us) < 20_000

    asyncio.run(scenario())


def _assert_bars(seen: Seen) -> None:
    """White is the brightest bar and blue the darkest colour except black: luma by BT.709, at 75 %."""
    assert seen.luma is not None
    line = seen.luma[seen.height // 2].astype(int)
    levels = {round(219 * 0.75 * weight) + 16 for weight in (1, 0.9278, 0.7874, 0.7152, 0.2848, 0.2126, 0.0722, 0)}
    found = {level for level in levels if (np.abs(line - level) <= 3).mean() > 0.05}
    assert found == levels


@pytest.mark.alone
def test_tone_is_heard_and_beeps_with_the_flash(server: Server, room: str, config: Path) -> None:
    async def scenario() -> None:
        async with watching(server, room) as watcher:
            with daemons.running(config, daemons.environment(server, room)):
                await watcher.until(
                    lambda: len(_flashes(watcher)) > 5 and len(_beeps(watcher)) > 5,
                    within_s=60,
                    what="six flashes and six beeps",
                )
                between = [block for block in watcher.sound if 0.4 < _since_beep(watcher, block) < 0.8][-40:]
                assert abs(dominant_hz(between) - 440) < 10
                flashes, beeps = (
                    _flashes(watcher)[-4:-1],
                    _beeps(watcher),
                )  # the last flash's beep may not have arrived yet
                for flash in flashes:
                    # Measured: the beep comes 20 to 110 ms after the flash.
                    assert min(abs(beep - flash) for beep in beeps) < 0.4

    asyncio.run(scenario())


def _flashes(watcher: Watcher) -> list[float]:
    pictures = list(watcher.pictures)
    return [after.at for before, after in pairwise(pictures) if after.brightness > 210 >= before.brightness]


def _beeps(watcher: Watcher) -> list[float]:
    blocks = list(watcher.sound)
    loud = [float(np.abs(block.samples).mean()) > 3000 for block in blocks]
    return [blocks[index].at for index in range(1, len(blocks)) if loud[index] and not loud[index - 1]]


def _since_beep(watcher: Watcher, block: Heard) -> float:
    return min((block.at - beep for beep in _beeps(watcher) if beep <= block.at), default=0.0)


def test_tracks_and_attributes_have_their_values(server: Server, room: str, config: Path) -> None:
    async def scenario() -> None:
        async with watching(server, room) as watcher:
            with daemons.running(config, daemons.environment(server, room, DEVICE_ROOM__DISPLAY_NAME="Front door")):
                await watcher.until(
                    lambda: watcher.attributes("device").get("device.state") == "live",
                    within_s=_FIRST_S,
                    what="device.state is live",
                )
                who = watcher.room.remote_participants["device"]
                await watcher.until(
                    lambda: len(who.track_publications) == 2, within_s=_FIRST_S, what="both tracks are announced"
                )
                assert who.name == "Front door"
                assert who.attributes["device.version"] == device.__version__
                assert who.attributes["device.model"]
                tracks = {each.name: each.source for each in who.track_publications.values()}
                assert tracks == {
                    "camera": rtc.TrackSource.SOURCE_CAMERA,
                    "microphone": rtc.TrackSource.SOURCE_MICROPHONE,
                }

    asyncio.run(scenario())


def test_late_viewer_gets_a_key_frame(server: Server, room: str, config: Path) -> None:
    async def scenario() -> None:
        variables = daemons.environment(server, room, DEVICE_CAMERA__KEYFRAME_INTERVAL_S="3600")
        with daemons.running(config, variables) as daemon:
            async with watching(server, room) as first:
                await first.until(lambda: len(first.pictures) > 60, within_s=_FIRST_S, what="60 pictures")
            for attempt in range(3):
                async with watching(server, room, identity=f"late-{attempt}") as late:
                    # With an hour between key frames, only a requested one can bring a picture.
                    await late.until(lambda: len(late.pictures) > 10, within_s=20, what="a picture for a late viewer")
            assert daemon.process.poll() is None

    asyncio.run(scenario())


def test_bitrate_follows_the_room(server: Server, room: str, config: Path) -> None:
    async def scenario() -> None:
        variables = daemons.environment(
            server, room, DEVICE_LOG__LEVEL="debug", DEVICE_CAMERA__BITRATE_MAX_BPS="700000"
        )
        async with watching(server, room):
            with daemons.running(config, variables) as daemon:
                line = await asyncio.to_thread(daemon.event, "camera.bitrate")
                assert 60_000 <= line["bitrate_bps"] <= 700_000

    asyncio.run(scenario())


def test_camera_or_microphone_alone(server: Server, room: str, config: Path) -> None:
    async def scenario() -> None:
        for off, left in (("CAMERA", "microphone"), ("MICROPHONE", "camera")):
            async with watching(server, room) as watcher:
                variables = daemons.environment(server, room, **{f"DEVICE_{off}__SOURCE": "off"})
                with daemons.running(config, variables):
                    await watcher.until(
                        lambda: watcher.pictures or watcher.sound,
                        within_s=_FIRST_S,
                        what=f"the {left}",
                    )
                    who = watcher.room.remote_participants["device"]
                    assert [each.name for each in who.track_publications.values()] == [left]

    asyncio.run(scenario())
