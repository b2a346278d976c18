"""Sounds of the configuration on the speaker of a running device: by its command, and by a participant of the room."""

from __future__ import annotations

import asyncio
import time
import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support import daemon as daemons
from tests.support.commands import command
from tests.support.operator_client import operating
from tests.support.sound_card import SoundCard

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.livekit_server import Server

_FIRST_S = 30.0
_BELL_HZ, _RATE = 600, 44_100


def bell(path: Path) -> Path:
    samples = 0.3 * np.sin(2 * np.pi * _BELL_HZ * np.arange(_RATE) / _RATE)
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, _RATE, 0, "NONE", ""))
        file.writeframes(np.repeat(np.round(samples * 32767).astype(np.int16), 2).tobytes())
    return path


def assert_played(card: SoundCard, *, since: float, amplitude: float) -> None:
    """Assert that the speaker has played the bell, a second long."""
    loud = np.concatenate([each.samples for each in card.loud(since=since, least=30)]).astype(float)
    if len(loud) > 1.5 * 48_000:  # the stand-in takes two channels
        loud = loud[::2]
    assert len(loud) == pytest.approx(48_000, rel=0.05)
    spectrum = np.abs(np.fft.rfft(loud * np.hanning(len(loud))))
    assert float(np.argmax(spectrum)) * 48_000 / len(loud) == pytest.approx(_BELL_HZ, abs=5)
    assert np.percentile(np.abs(loud), 95) == pytest.approx(amplitude, rel=0.1)


def test_a_sound_is_played_by_command_and_by_rpc(server: Server, room: str, config: Path, tmp_path: Path) -> None:
    """At the volume of [speaker], and with the reason if it cannot be played."""
    card = SoundCard(tmp_path)
    (tmp_path / "text.wav").write_text("no sound")
    config.write_text(
        f'[sounds]\ndoorbell = "{bell(tmp_path / "bell.wav")}"\n'
        f'broken = "{tmp_path / "text.wav"}"\nabsent = "{tmp_path / "absent.wav"}"\n'
        '[control]\nallow = [{ identity = "ops-*", operations = ["play"] }]\n'
    )
    variables = daemons.environment(server, room, RUNTIME_DIRECTORY=str(tmp_path)) | card.variables

    async def scenario() -> None:
        with daemons.running(config, variables) as daemon:
            await asyncio.to_thread(daemon.event, "device.state", new="live", within_s=_FIRST_S)
            await asyncio.to_thread(daemon.event, "worker.state", worker="speaker", new="live", within_s=_FIRST_S)
            since = time.monotonic()
            done = await asyncio.to_thread(command, "play", "doorbell", variables=variables)
            assert (done.returncode, done.stdout, done.stderr) == (0, "doorbell was played, 1.0 s\n", "")
            assert_played(card, since=since, amplitude=0.3 * 32767)
            for name, said in (
                ("bell", 'there is no sound "bell"; there are: absent, broken, doorbell'),
                ("absent", "the file of absent cannot be read: No such file or directory"),
                ("broken", "the file of broken cannot be opened: "),
            ):
                done = await asyncio.to_thread(command, "play", name, variables=variables)
                assert (done.returncode, done.stdout) == (1, "")
                assert done.stderr.startswith(said)
            changed = await asyncio.to_thread(command, "set", "speaker.volume_db=-20", variables=variables)
            assert changed.returncode == 0, changed.stderr
            async with operating(server, room, identity="ops-1") as operator:
                since = time.monotonic()
                ask = '{"name": "doorbell"}'
                calls = [operator.code("play", ask, within_s=_FIRST_S) for _ in range(2)]
                assert sorted(await asyncio.gather(*calls)) == [
                    (0, '{"text": "doorbell was played, 1.0 s"}'),
                    (409, "doorbell is being played; try again when it has ended"),
                ]
                assert_played(card, since=since, amplitude=0.03 * 32767)
            await asyncio.to_thread(daemon.stop)

    asyncio.run(scenario())


def test_without_a_speaker_it_says_what_to_set(server: Server, room: str, config: Path, tmp_path: Path) -> None:
    config.write_text(f'[sounds]\ndoorbell = "{bell(tmp_path / "bell.wav")}"\n')
    variables = daemons.environment(server, room, RUNTIME_DIRECTORY=str(tmp_path))
    with daemons.running(config, variables) as daemon:
        daemon.event("device.state", new="live", within_s=_FIRST_S)
        done = command("play", "doorbell", variables=variables)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == 'the speaker is off: set source = "pyaudio" in [speaker]\n'
