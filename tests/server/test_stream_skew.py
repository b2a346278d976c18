"""Picture and sound of one IP camera, which flashes and beeps each second, are in step, over two connections."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from device.clock import epoch_of_us
from device.media.block import SAMPLE_RATE
from device.sources.network_input import NetworkInput
from device.sources.network_sound import NetworkSound
from device.sources.network_units import NetworkUnits
from tests.bench.figures import percentile
from tests.support import daemon as daemons
from tests.support.processors import IdleMeter
from tests.support.skew import BEEP_LEVEL, Skew, skews
from tests.support.wall_clock_camera import Camera, wall_clock_camera
from tests.support.watcher import watching

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.support.livekit_server import Server

# A viewer's buffer for sound is longer on a busy machine.
_IDLE_PERCENT, _MAX_SKEW_MS, _MAX_BUSY_SKEW_MS = 40, 60, 250
_SETTLED_S, _FLASHES = 2.0, 4
_READ_US = 3_000_000
_MAX_ERROR_MS = 20


@pytest.mark.alone
def test_a_viewer_sees_the_flash_and_hears_the_beep_together(
    server: Server, room: str, config: Path, tmp_path: Path
) -> None:
    async def scenario() -> list[Skew]:
        async with watching(server, room) as watcher:
            with wall_clock_camera(tmp_path, Camera()) as camera:
                stream = {"DEVICE_CAMERA__SOURCE": "stream", "DEVICE_MICROPHONE__SOURCE": "stream"}
                stream["DEVICE_CAMERA__URL"] = camera.url
                with daemons.running(config, daemons.environment(server, room, **stream)):
                    await watcher.until_received(within_s=20)
                    settled_s = time.time() + _SETTLED_S
                    await watcher.until(
                        lambda: len(skews(watcher, since_s=settled_s)) >= _FLASHES, within_s=20, what="flashes"
                    )
                    return skews(watcher, since_s=settled_s)

    meter = IdleMeter()
    found = [each.ms for each in asyncio.run(scenario())]
    idle = meter.percent()
    bound = _MAX_SKEW_MS if idle > _IDLE_PERCENT else _MAX_BUSY_SKEW_MS
    assert percentile(map(abs, found), 95) <= bound, (found, idle)


@pytest.mark.alone
def test_capture_times_are_those_of_the_camera(tmp_path: Path) -> None:
    with wall_clock_camera(tmp_path, Camera()) as camera, ThreadPoolExecutor() as threads:
        flashes, beeps = threads.map(lambda read: read(camera.url), (_flashes, _beeps))
    assert percentile(map(abs, _off_ms(flashes)), 50) <= _MAX_ERROR_MS, flashes
    assert percentile(map(abs, _off_ms(beeps)), 50) <= _MAX_ERROR_MS, beeps


def _flashes(url: str) -> list[float]:
    """Return the capture times of key frames, which are the flashes, in seconds since the epoch."""
    units = NetworkUnits(NetworkInput(url=url, url_file="", kind="video", transport="tcp")).units()
    first = next(units)
    found = []
    for unit in units:
        if unit.captured_at_us > first.captured_at_us + _READ_US:
            break
        if unit.key:
            found.append(epoch_of_us(unit.captured_at_us) / 1e6)
    return found


def _beeps(url: str) -> list[float]:
    source = NetworkInput(url=url, url_file="", kind="audio", transport="tcp")
    blocks = NetworkSound(source, channels=1).blocks()
    first = next(blocks)
    loud = [-1.0]
    for block in blocks:
        if block.captured_at_us > first.captured_at_us + _READ_US:
            break
        samples = np.abs(np.frombuffer(block.samples, np.int16).astype(np.int32))
        at_s = epoch_of_us(block.captured_at_us) / 1e6
        loud += [at_s + index / SAMPLE_RATE for index in np.flatnonzero(samples > BEEP_LEVEL).tolist()]
    return [later for before, later in pairwise(loud) if later - before > 0.5]


def _off_ms(moments: Iterable[float]) -> list[float]:
    """Return how far each is from a whole second."""
    return [1000 * ((at + 0.5) % 1 - 0.5) for at in moments]
