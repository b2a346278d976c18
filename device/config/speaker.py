"""The table [speaker]: talkback, off by default. Nobody may talk unless an identity is allowed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from device.config.marks import LIVE, PROCESS_RESTART, REMOTE
from device.config.table import Table

_MAX_PATTERNS = 64
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class Speaker(Table):
    """The speaker, and which participants of the room are heard from it."""

    source: Annotated[Literal["off", "pyaudio"], PROCESS_RESTART] = "off"
    device: Annotated[str, PROCESS_RESTART] = ""
    volume_db: Annotated[float, LIVE, REMOTE] = Field(default=0.0, ge=-60, le=20)
    allow: Annotated[list[Pattern], LIVE] = Field(default_factory=list, max_length=_MAX_PATTERNS)
    exclusive: Annotated[bool, LIVE] = True
    max_s: Annotated[float, LIVE] = Field(default=120.0, ge=1, le=86_400)
    duck_microphone: Annotated[bool, LIVE] = False
