"""Sound at a subscriber: what pauses is back in step, what is late leaves no gap, and what it costs in bits."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from livekit import rtc

from device.telemetry.transport_stats import read_stats, track_identifiers
from device.tracks.sound_inlet import SoundInlet
from tests.support import daemon as daemons
from tests.support.tokens import token
from tests.support.watcher import Heard, watching

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.support.livekit_server import Server

_BEEP = 4000  # above the tone, below the beep at the beginning of each second
_LATE_S, _LATE_TIMES = 0.05, 3
_PAUSE_S = 2.0
_TONE_RMS = 1159  # 440 Hz at 5 % of full scale


def lateness_ms(sound: Sequence[Heard]) -> list[float]:
    """Return how long after each second its beep is heard."""
    found, loud_at = [], float("-inf")
    for each in sound:
        for index in np.flatnonzero(np.abs(each.samples[:, 0].astype(np.int32)) > _BEEP).tolist():
            at = each.epoch_s + index / 48_000
            if at - loud_at > 0.5:
                found.append(at % 1 * 1000)
            loud_at = at
    return found


def rms(block: Heard) -> float:
    return float(np.sqrt((block.samples[:, 0].astype(np.float64) ** 2).mean()))


def suspend(pid: int, seconds: float) -> None:
    os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(pid, signal.SIGCONT)


@pytest.mark.alone
def test_a_late_daemon_makes_no_gap_and_a_pause_is_made_up_for(server: Server, room: str, config: Path) -> None:
    variables = daemons.environment(
        server, room, DEVICE_CAMERA__SOURCE="off", DEVICE_WATCH__MICROPHONE_STALL_S=str(2 * _PAUSE_S)
    )

    async def scenario() -> None:
        async with watching(server, room) as watcher:
            with daemons.running(config, variables) as daemon:

                async def heard(seconds: float) -> list[Heard]:
                    have = len(watcher.sound)
                    until = have + round(seconds * 100)
                    await watcher.until(lambda: len(watcher.sound) >= until, within_s=20, what="sound")
                    return list(watcher.sound)[have:]

                await heard(2)
                usual_ms = statistics.median(lateness_ms(await heard(2.2)))
                worker = daemon.worker("microphone")
                os.kill(worker, signal.SIGSTOP)
                paused = await heard(_PAUSE_S)
                assert max(map(rms, paused[-50:])) < 10, "the pause is silent"
                os.kill(worker, signal.SIGCONT)
                await heard(1.5)
                back_ms = statistics.median(lateness_ms(await heard(2)))
                assert back_ms - usual_ms < 60, (usual_ms, back_ms)
                have = len(watcher.sound)
                for _ in range(_LATE_TIMES):
                    suspend(daemon.pid, _LATE_S)
                    await asyncio.sleep(0.3)
                late = list(watcher.sound)[have:]
                assert min(map(rms, late)) > _TONE_RMS / 2

    asyncio.run(scenario())


def test_statistics_show_what_the_native_library_takes(server: Server, room: str) -> None:
    """The daemon does not wait for an answer: this is how it notices that the library is dead."""

    async def scenario() -> None:
        publisher, inlet = rtc.Room(), SoundInlet(1)
        track = inlet.create_track("microphone")
        await publisher.connect(server.url, token(server, room, identity="device", publish=True))
        await publisher.local_participant.publish_track(track)
        for _ in range(50):
            inlet.give(bytes(1920), ends_at_us=0)
            await asyncio.sleep(0.02)
        names = dict.fromkeys(track_identifiers(await track.get_stats()), "microphone")

        async def taken_s() -> float:
            return read_stats((await publisher.get_rtc_stats()).publisher_stats, names).taken_s["microphone"]

        before_s = await taken_s()
        for _ in range(25):
            inlet.give(bytes(1920), ends_at_us=0)
            await asyncio.sleep(0.02)
        assert await taken_s() - before_s == pytest.approx(0.5, abs=0.03)
        await publisher.disconnect()
        await inlet.aclose()

    asyncio.run(scenario())
