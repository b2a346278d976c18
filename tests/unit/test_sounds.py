"""`play`: which sound, on which speaker, and what is said when that is impossible."""

from __future__ import annotations

import asyncio
import wave
from typing import TYPE_CHECKING

import pytest

from device.config.diff import ChangeClass
from device.config.schema_keys import class_of
from device.control.caller import Caller, CallerKind
from device.control.limits import CALL_S
from device.control.operations import PlaySound
from device.control.sound_files import _WITHIN_S
from device.control.sounds import ConfiguredSounds
from device.errors import CallError
from device.workers.sound_file import MAX_SOUND_S

if TYPE_CHECKING:
    from pathlib import Path

CALLER = Caller(kind=CallerKind.LOCAL, name="test")


class Loudspeaker:
    """Plays until `end` is set."""

    def __init__(self, *, refuses: str = "") -> None:
        self.played: list[bytes] = []
        self.refuses = refuses
        self.begun, self.end = asyncio.Event(), asyncio.Event()

    async def play(self, pcm: bytes) -> None:
        if self.refuses:
            raise CallError(self.refuses)
        self.played.append(pcm)
        self.begun.set()
        await self.end.wait()


@pytest.fixture
def bell(tmp_path: Path) -> str:
    path = tmp_path / "bell.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes(bytes(48_000))
    return str(path)


async def refusal(sounds: ConfiguredSounds, name: str) -> str:
    with pytest.raises(CallError) as caught:
        await sounds.play(PlaySound(name=name), CALLER)
    return str(caught.value)


def test_a_sound_is_played_to_its_end(bell: str) -> None:
    async def scenario() -> None:
        speaker = Loudspeaker()
        speaker.end.set()
        sounds = ConfiguredSounds(lambda: {"doorbell": bell}, lambda: speaker)
        done = await sounds.play(PlaySound(name="doorbell"), CALLER)
        assert done.text == "doorbell was played, 0.5 s"
        assert speaker.played == [bytes(48_000)]

    asyncio.run(scenario())


def test_an_unknown_name_is_answered_with_those_that_there_are(bell: str) -> None:
    async def scenario() -> None:
        speaker = Loudspeaker()
        sounds = ConfiguredSounds(lambda: {"gong": bell, "doorbell": bell}, lambda: speaker)
        assert await refusal(sounds, "bell\n") == 'there is no sound "bell?"; there are: doorbell, gong'
        none = ConfiguredSounds(dict, lambda: speaker)
        assert "the configuration has none: add one to [sounds]" in await refusal(none, "bell")

    asyncio.run(scenario())


def test_without_a_speaker_nothing_is_played(bell: str) -> None:
    async def scenario() -> None:
        sounds = ConfiguredSounds(lambda: {"bell": bell}, lambda: None)
        assert await refusal(sounds, "bell") == 'the speaker is off: set source = "pyaudio" in [speaker]'
        absent = ConfiguredSounds(lambda: {"bell": bell}, lambda: Loudspeaker(refuses="the speaker is not there"))
        assert await refusal(absent, "bell") == "the speaker is not there"

    asyncio.run(scenario())


def test_a_file_that_cannot_be_decoded_is_named_by_its_sound(tmp_path: Path) -> None:
    async def scenario() -> None:
        speaker = Loudspeaker()
        sounds = ConfiguredSounds(lambda: {"bell": str(tmp_path / "absent.wav")}, lambda: speaker)
        for _ in range(2):  # the first failure does not keep it busy
            text = await refusal(sounds, "bell")
            assert text == "the file of bell cannot be read: No such file or directory"

    asyncio.run(scenario())


def test_one_sound_is_played_at_a_time(bell: str) -> None:
    async def scenario() -> None:
        speaker = Loudspeaker()
        sounds = ConfiguredSounds(lambda: {"bell": bell}, lambda: speaker)
        first = asyncio.create_task(sounds.play(PlaySound(name="bell"), CALLER))
        await speaker.begun.wait()
        assert await refusal(sounds, "bell") == "bell is being played; try again when it has ended"
        first.cancel()
        await asyncio.wait({first})
        speaker.end.set()
        assert (await sounds.play(PlaySound(name="bell"), CALLER)).text.startswith("bell was played")

    asyncio.run(scenario())


def test_the_longest_sound_ends_before_its_call_is_over() -> None:
    assert _WITHIN_S + MAX_SOUND_S < CALL_S


def test_sounds_are_live() -> None:
    assert class_of("sounds") is class_of("sounds.doorbell") is ChangeClass.LIVE
