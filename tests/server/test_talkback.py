"""Talkback on a real server: whose voice is heard from the device's speaker, when, and how soon."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from contextlib import asynccontextmanager
from statistics import quantiles
from typing import TYPE_CHECKING
from urllib.request import urlopen

import numpy as np
import pytest
from livekit import rtc

from tests.support import daemon as daemons
from tests.support.commands import command
from tests.support.ports import free_port
from tests.support.processors import IdleMeter
from tests.support.sound_card import SoundCard
from tests.support.talker import talking
from tests.support.watcher import watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.support.daemon import Daemon
    from tests.support.livekit_server import Server

_WITHIN_S = 30.0
_RATE = 48_000
_CLICKS, _APART_S, _LOUD = 40, 0.5, 12_000
# With this share of the machine idle; else blocks wait for a processor, and clicks only have to be heard at all.
_P50_S, _P95_S, _IDLE_PERCENT = 0.150, 0.250, 60.0
_HEARD = 0.5


@pytest.fixture
def card(tmp_path: Path) -> SoundCard:
    return SoundCard(tmp_path)


@asynccontextmanager
async def device(server: Server, room: str, config: Path, card: SoundCard, **extra: str) -> AsyncIterator[Daemon]:
    """Run a device that is live, and so is its speaker."""
    allow = json.dumps(["ops-*"])
    variables = daemons.environment(server, room, **card.variables, DEVICE_SPEAKER__ALLOW=allow, **extra)
    with daemons.running(config, variables) as daemon:
        await asyncio.to_thread(daemon.event, "device.state", new="live", within_s=_WITHIN_S)
        await asyncio.to_thread(daemon.event, "worker.state", worker="speaker", new="live", within_s=_WITHIN_S)
        yield daemon
        await asyncio.to_thread(daemon.stop)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(_WITHIN_S):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.1)


def hears(card: SoundCard, tone_hz: float) -> bool:
    """Return whether the last fifth of a second is this tone."""
    samples = np.concatenate([each.samples for each in card.played()[-20:]] or [np.zeros(1, np.int16)]).astype(float)
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    hz = np.arange(len(power)) * _RATE / len(samples)
    return bool(power.sum() > 1e9 and power[np.abs(hz - tone_hz) < 30].sum() > 0.8 * power.sum())


def quiet(card: SoundCard) -> bool:
    return not card.loud(since=time.monotonic() - 0.1)


async def refused(call: object) -> tuple[int, str]:
    with pytest.raises(rtc.RpcError) as found:
        await call  # type: ignore[misc]
    return found.value.code, found.value.message


def operators_read(variables: dict[str, str], port: str, *talkers: str) -> None:
    """Assert that the speaker and who is talking are in `status` and in the metrics."""
    status = json.loads(command("status", "--json", variables=variables).stdout)
    assert status["speaker"] == {"state": "live", "reason": "", "talkers": list(talkers)}
    text = command("status", variables=variables).stdout
    assert re.search(rf"^speaker +live, {', '.join(talkers)} talking$", text, re.MULTILINE), text
    with urlopen(f"http://{port}/metrics", timeout=_WITHIN_S) as answer:
        metrics = answer.read().decode()
    assert f"livekit_device_speaker_talkers {len(talkers):.1f}" in metrics
    assert 'livekit_device_speaker_state{state="live"} 1.0' in metrics


def test_who_is_heard(server: Server, room: str, config: Path, card: SoundCard) -> None:
    bind, runtime = f"127.0.0.1:{free_port()}", {"RUNTIME_DIRECTORY": str(card.folder)}

    async def scenario() -> None:
        async with (
            device(server, room, config, card, DEVICE_METRICS__BIND=bind, **runtime) as daemon,
            talking(server, room, identity="guest-1", tone_hz=3000) as guest,
            talking(server, room, identity="ops-1", tone_hz=600) as first,
        ):

            def attribute(name: str) -> str:
                return guest.room.remote_participants["device"].attributes.get(f"device.{name}", "")

            await until(lambda: hears(card, 600))
            await until(lambda: attribute("talker") == "ops-1")
            assert (attribute("speaker"), attribute("speaker_mode")) == ("live", "exclusive")
            await asyncio.to_thread(operators_read, os.environ | runtime, bind, "ops-1")
            assert first.subscribed.is_set()
            assert await first.call('{"on": true}') == '{"state": "heard"}'

            async with talking(server, room, identity="ops-2", tone_hz=1500) as second:
                async with asyncio.timeout(_WITHIN_S):
                    await second.subscribed.wait()
                assert await refused(second.call('{"on": true}')) == (409, "busy: ops-1 is talking")
                assert await refused(second.call('"on"')) == (
                    400,
                    'the payload must be {"on": true} or {"on": false}',
                )
                await until(lambda: hears(card, 600))

                first.track.mute()
                await until(lambda: hears(card, 1500))
                await until(lambda: attribute("talker") == "ops-2")
                assert await second.call('{"on": false}') == '{"state": "off"}'
                await until(lambda: quiet(card) and not attribute("talker"))
                assert await second.call('{"on": true}') == '{"state": "heard"}'
                await until(lambda: hears(card, 1500))
            # It has left in the middle of a word.
            await until(lambda: quiet(card) and not attribute("talker"))

            # Neither a participant that is not allowed, nor another track of one that is.
            why = "talking is not allowed for this identity"
            assert await refused(guest.call('{"on": true}')) == (403, why)
            async with talking(server, room, identity="ops-3", publish=False) as other:
                await other.publish(source=rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO)
                first.track.unmute()
                await until(lambda: hears(card, 600))
                assert not other.subscribed.is_set()
            assert not guest.subscribed.is_set()
            assert not [each for each in daemon.lines if each["level"] in ("error", "critical")]

    asyncio.run(scenario())


def test_a_speaker_that_fails_affects_nothing_else(server: Server, room: str, config: Path, card: SoundCard) -> None:
    async def scenario() -> None:
        async with (
            device(server, room, config, card) as daemon,
            watching(server, room) as watcher,
            talking(server, room, identity="ops-1", tone_hz=600),
        ):
            await until(lambda: hears(card, 600))
            for killed in (True, False):
                mark = len(daemon.lines)
                await watcher.until_received(within_s=_WITHIN_S)
                if killed:
                    os.kill(daemon.worker("speaker"), signal.SIGKILL)
                else:
                    card.switch("gone")
                await asyncio.to_thread(daemon.event, "worker.restarting", worker="speaker", since=mark)
                await watcher.until_received(within_s=_WITHIN_S)
                card.switch("")
                await asyncio.to_thread(daemon.event, "worker.state", worker="speaker", new="live", since=mark)
                await until(lambda: hears(card, 600))
            assert not [each for each in daemon.lines if each["event"] == "room.left"]

    asyncio.run(scenario())


@pytest.mark.alone
def test_mouth_to_speaker(server: Server, room: str, config: Path, card: SoundCard) -> None:
    """A click in each half second: when it was spoken, and when it is heard from the speaker."""

    async def scenario() -> None:
        async with (
            device(server, room, config, card),
            talking(server, room, identity="ops-1", tone_hz=200) as talker,
        ):
            await until(lambda: hears(card, 200))
            meter.percent()
            talker.click(every_s=_APART_S)
            await asyncio.sleep(_CLICKS * _APART_S)
            talker.click(every_s=0)
            idle.append(meter.percent())
            spoken.extend(talker.clicks)
            await asyncio.sleep(_APART_S)

    spoken, idle, meter = list[float](), list[float](), IdleMeter()
    asyncio.run(scenario())
    assert len(spoken) >= _CLICKS - 1
    heard = onsets(card)
    late_s = [next((each - at for each in heard if 0 <= each - at < _APART_S), float("inf")) for at in spoken]
    cuts = quantiles(late_s, n=20)
    found = f"p50 {cuts[9] * 1000:.0f} ms, p95 {cuts[18] * 1000:.0f} ms of {len(late_s)} clicks ({idle[0]:.0f} % idle)"
    print(f"mouth to speaker: {found}")
    if idle[0] > _IDLE_PERCENT:
        assert cuts[9] <= _P50_S, found
        assert cuts[18] <= _P95_S, found
    assert len(heard) >= _HEARD * len(spoken), found


def onsets(card: SoundCard) -> list[float]:
    """Return when clicks begin to be heard."""
    found: list[float] = []
    for each in card.played():
        for index in np.flatnonzero(np.abs(each.samples.astype(np.int32)) > _LOUD):
            at = each.at + int(index) / _RATE
            if not found or at - found[-1] > _APART_S / 2:
                found.append(at)
    return found
