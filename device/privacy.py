"""Privacy: which streams are not captured, and who may lift that. Kept in the state directory.

What cannot be read is no reason to capture: then privacy is on for all streams, and only a caller on this box may lift
it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from device import state_directory
from device.errors import CallError, system_text
from device.unit_directories import own_state

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from pathlib import Path

log = structlog.get_logger()

T = TypeVar("T")

NAME = "privacy.json"
ALL = "*"
"""In place of a stream's name: all streams, also those that are added later."""
_LOCAL, _ANYONE = "local", "anyone"  # who may lift it
_STREAM = re.compile(r"[a-z0-9_-]{1,32}")
_MAX_STREAMS, _MAX_BYTES = 64, 4 << 10
_VARIABLE = "LIVEKIT_DEVICE_PRIVACY"  # without a state directory: for this process if it executes itself again


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """The streams under privacy. `held` has their names, or ALL, with who may lift it."""

    held: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_service(cls) -> Privacy:
        """Return what is kept on this box."""
        path = state_directory.readable() / NAME
        try:
            data = state_directory.content(path, max_bytes=_MAX_BYTES)
        except FileNotFoundError:
            return cls()
        except OSError as error:
            return _unknown(str(path), system_text(error))
        return _read(data, str(path))

    def covers(self, stream: str) -> bool:
        """Return whether this stream may not be captured."""
        return ALL in self.held or stream in self.held

    @property
    def text(self) -> str:
        """Return the names of the streams, for operators."""
        return "all" if ALL in self.held else ", ".join(sorted(self.held))

    def turned_on(self, stream: str, *, local: bool) -> Privacy:
        """Return privacy with a stream, or ALL. What only a caller on this box may lift stays so."""
        if len(self.held) >= _MAX_STREAMS and stream not in (ALL, *self.held):
            raise CallError("privacy is on for too many streams; turn it on for all")
        who = _LOCAL if local or self.held.get(stream) == _LOCAL else _ANYONE
        return Privacy(held=MappingProxyType({**self.held, stream: who}))

    def turned_off(self, stream: str, *, remote: bool) -> Privacy:
        """Return privacy without a stream; with ALL, without any. Raises CallError if that is not allowed."""
        if stream != ALL and ALL in self.held:
            raise CallError("privacy is on for all streams, and can be turned off for all only")
        lifted = dict(self.held) if stream == ALL else {stream: self.held.get(stream, _ANYONE)}
        if remote and _LOCAL in lifted.values():
            raise CallError("privacy was turned on on the device itself, and can be turned off there only")
        return Privacy(held={name: who for name, who in self.held.items() if name not in lifted})

    def write(self, folder: Path) -> None:
        """Keep it, also over a power cut from now on. Raises OSError."""
        state_directory.replace(folder / NAME, f"{self.json}\n")

    @property
    def json(self) -> str:
        return json.dumps(dict(self.held), sort_keys=True)


UNKNOWN = Privacy(held=MappingProxyType({ALL: _LOCAL}))
"""What holds if the file cannot be read."""


def parsed(data: bytes) -> Privacy:
    """Return what a file's content says. Raises ValueError, or RecursionError, if `write` did not write it."""
    held = json.loads(data)
    if not isinstance(held, dict) or len(held) > _MAX_STREAMS + 1:
        raise ValueError("it is no object")
    for name, who in held.items():
        if (name != ALL and not _STREAM.fullmatch(name)) or who not in (_LOCAL, _ANYONE):
            raise ValueError("it names something else than streams")
    return Privacy(held=MappingProxyType(held))


def _read(data: bytes, place: str) -> Privacy:
    try:
        found = parsed(data)
    except (ValueError, RecursionError):
        return _unknown(place, "it is malformed")
    if found.held:
        log.warning("privacy.on", streams=found.text, hint="these are not captured")
    return found


def _unknown(place: str, why: str) -> Privacy:
    log.error("privacy.unreadable", path=place, why=why, hint="nothing is captured until `livekit-device privacy off`")
    return UNKNOWN


class KeptPrivacy:
    """Privacy as it is now, and its file. Without a state directory it lasts as long as this process."""

    def __init__(self) -> None:
        self.folder = own_state()
        kept = None if self.folder else os.environ.get(_VARIABLE)
        self.now = Privacy.of_service() if kept is None else _read(kept.encode(), _VARIABLE)
        self._change: asyncio.Task[object] | None = None
        self._one_at_a_time = asyncio.Lock()

    async def change(self, steps: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Carry out the steps of one change, one change at a time, to their end also if the caller gives up."""

        async def alone() -> T:
            async with self._one_at_a_time:
                return await steps()

        change = self._change = asyncio.create_task(alone(), name="privacy")
        return await asyncio.shield(change)

    async def keep(self, privacy: Privacy) -> str:
        """Write it; return what was wrong with that. It is done by a thread, because a disk may block."""
        if self.folder is None:
            os.environ[_VARIABLE] = privacy.json
            return ""
        try:
            await asyncio.to_thread(privacy.write, self.folder)
        except OSError as error:
            return f"{self.folder / NAME} cannot be written: {system_text(error)}"
        return ""
