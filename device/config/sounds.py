"""The table [sounds]: files that operators may play by name on the speaker."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator

from device.config.values import short_name

MAX_SOUNDS = 32
_MAX_PATH = 1024


def _path(value: str) -> str:
    if not PurePosixPath(value).is_absolute() or len(value) > _MAX_PATH or not value.isprintable():
        raise ValueError('must be the absolute path of a sound file, such as "/usr/share/sounds/bell.wav"')
    return value


SoundName = Annotated[str, short_name("sound")]
SoundPath = Annotated[str, AfterValidator(_path)]
