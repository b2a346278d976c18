"""Plays the sounds of the configuration by their names on the speaker, one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from device.control.results import Done
from device.errors import CallError
from device.media.block import SAMPLE_BYTES, SAMPLE_RATE
from device.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from device.control.caller import Caller
    from device.control.operations import PlaySound

_MAX_SHOWN = 64
_BYTES_PER_S = SAMPLE_RATE * SAMPLE_BYTES  # one channel


class Player(Protocol):
    """A speaker."""

    async def play(self, pcm: bytes) -> None:
        """Play a sound of one channel of 16 bits at 48 kHz; return when it was played. Raises CallError."""


class ConfiguredSounds:
    """Plays the `configured` sounds, by name their files, on the `speaker`; it returns None without one."""

    def __init__(self, configured: Callable[[], Mapping[str, str]], speaker: Callable[[], Player | None]) -> None:
        self._configured, self._speaker = configured, speaker
        self._playing = ""

    async def play(self, call: PlaySound, _caller: Caller) -> Done:
        """Play one of the sounds to its end. Raises CallError that says what is wrong and what is allowed."""
        name, sounds = call.name, self._configured()
        if name not in sounds:
            raise CallError(f'there is no sound "{printable(name[:_MAX_SHOWN])}"; {_which(sounds)}')
        speaker = self._speaker()
        if speaker is None:
            raise CallError('the speaker is off: set source = "pyaudio" in [speaker]')
        if self._playing:
            raise CallError(f"{self._playing} is being played; try again when it has ended")
        from device.control import sound_files

        self._playing = name
        try:
            try:
                pcm = await sound_files.decoded(sounds[name])
            except CallError as error:
                raise CallError(f"the file of {name} {error}") from error
            await speaker.play(pcm)
        finally:
            self._playing = ""
        return Done(text=f"{name} was played, {len(pcm) / _BYTES_PER_S:.1f} s")


def _which(sounds: Mapping[str, str]) -> str:
    if not sounds:
        return "the configuration has none: add one to [sounds]"
    return f"there are: {', '.join(sorted(sounds))}"
