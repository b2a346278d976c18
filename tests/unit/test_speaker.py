"""The speaker's worker and the daemon's part of it, with a stand-in for the sound card."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest

from device.errors import CallError
from device.lifecycle.deadlines import Deadlines
from device.speaker.speaker import Speaker
from device.telemetry.attributes import Attributes
from tests.support.configs import config_of
from tests.support.sound_card import SoundCard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from device.config import effective

_WITHIN_S = 30.0


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoundCard:
    found = SoundCard(tmp_path)
    for name, value in found.variables.items():
        monkeypatch.setenv(name, value)
    return found


def table(**keys: object) -> effective.Speaker:
    given = {"room": {"url": "ws://127.0.0.1:7880", "name": "lab"}, "speaker": {"source": "pyaudio", **keys}}
    return config_of(given).speaker


@asynccontextmanager
async def running(**keys: object) -> AsyncIterator[tuple[Speaker, Attributes]]:
    attributes = Attributes()
    speaker = Speaker(table(**keys), attributes=attributes, deadlines=Deadlines())
    task = asyncio.create_task(speaker.run())
    try:
        yield speaker, attributes
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(_WITHIN_S):
        while not holds():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.02)


def tone(seconds: float) -> bytes:
    samples = 8000 * np.sin(2 * np.pi * 440 / 48_000 * np.arange(round(seconds * 48_000)))
    return bytes(samples.astype(np.int16).tobytes())


def test_a_sound_is_played_whole_at_the_volume_that_is_set(card: SoundCard) -> None:
    async def scenario() -> None:
        async with running() as (speaker, attributes):
            await until(lambda: speaker.live)
            assert attributes.snapshot()["device.speaker"] == "live"
            await speaker.play(tone(0.5))
            await until(lambda: sum(len(each.samples) for each in card.loud()) >= 24_000)
            assert max(each.peak for each in card.loud()) > 7900

            speaker.use(table(volume_db=-20.0))
            before = len(card.loud())
            await asyncio.gather(speaker.play(tone(0.5)), refused(speaker))
            await until(lambda: len(card.loud()) > before + 40)
            assert max(each.peak for each in card.loud()[before + 5 :]) < 900

    async def refused(speaker: Speaker) -> None:
        await asyncio.sleep(0)
        with pytest.raises(CallError, match="another sound"):
            await speaker.play(tone(0.1))

    asyncio.run(scenario())


def test_an_absent_a_busy_and_a_hanging_speaker(card: SoundCard) -> None:
    async def scenario() -> None:
        async with running() as (speaker, attributes):

            def state() -> str:
                return attributes.snapshot()["device.speaker"]

            await until(lambda: state() == "absent: no speaker is connected")
            with pytest.raises(CallError, match="the speaker is not there: absent"):
                await speaker.play(tone(0.1))
            card.switch("busy")
            await until(lambda: state() == "stalled: the speaker cannot be opened")
            card.switch("")
            await until(lambda: speaker.live)
            for word, text in (("gone", "stalled: the speaker was disconnected"), ("hung", "stalled: nothing came")):
                card.switch(word)
                await until(lambda text=text: state().startswith(text))  # type: ignore[misc]
                card.switch("")
                await until(lambda: speaker.live)

    card.switch("absent")
    asyncio.run(scenario())


def test_pages_read_whether_voices_are_mixed_also_after_a_change() -> None:
    attributes = Attributes()
    speaker = Speaker(table(exclusive=False), attributes=attributes, deadlines=Deadlines())
    assert attributes.snapshot()["device.speaker_mode"] == "mixed"
    speaker.use(table(exclusive=True))
    assert attributes.snapshot()["device.speaker_mode"] == "exclusive"


def test_without_a_speaker_nothing_of_talkback_is_loaded() -> None:
    program = (
        "import sys, device.app, device.talkback, device.streams.stream, device.room.connection, types\n"
        "found = device.talkback.Talkback(types.SimpleNamespace(on=False))\n"
        "found.use(None); found.ended(''); found.start(None, attributes=None, deadlines=None)\n"
        "print(found.speaker, found.echo, found.serve, found.running)\n"
        "print([each for each in sys.modules if each.startswith(('device.speaker', 'device.workers'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "None None None []\n[]\n"
