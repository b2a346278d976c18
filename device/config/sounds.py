"""The table [sounds]: files that operators may play by name on the speaker."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator

MAX_SOUNDS = 32
_MAX_PATH = 1024
_NAME = re.compile(r"[a-z0-9_-]{1,32}")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("is not a name for a sound; allowed: 1 to 32 letters (a to z), digits, - and _")
    return value


def _path(value: str) -> str:
    if not PurePosixPath(value).is_absolute() or len(value) > _MAX_PATH or not value.isprintable():
        raise ValueError('must be the absolute path of a sound file, such as "/usr/share/sounds/bell.wav"')
    return value


SoundName = Annotated[str, AfterValidator(_name)]
SoundPath = Annotated[str, AfterValidator(_path)]
