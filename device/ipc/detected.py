"""Which streams have ever had a device on this box, kept in the state directory."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import structlog

from device import state_directory
from device.unit_directories import own_state

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.get_logger()

NAME = "detected.json"
_MAX_BYTES = 4 << 10


class Detected:
    """The names of the streams whose device was detected. A file that cannot be read counts as all names.

    Without `writes_to` nothing is kept beyond this process.
    """

    def __init__(self, reads: Path | None = None, *, writes_to: Path | None = None) -> None:
        self._names = _read(reads) if reads else frozenset()
        self._path = writes_to
        self._lock = threading.Lock()

    @classmethod
    def of_service(cls, *, keeps: bool) -> Detected:
        """Return what is known on this box; only with `keeps` the file is written, if there is a state directory."""
        folder = own_state() if keeps else None
        return cls(state_directory.readable() / NAME, writes_to=folder / NAME if folder else None)

    def has(self, name: str) -> bool:
        return self._names is None or name in self._names

    def add(self, name: str) -> None:
        """Keep that a device was detected. It is written by a thread, because a disk may block."""
        if self._names is None or name in self._names:
            return
        self._names |= {name}
        if self._path is not None:
            threading.Thread(target=self._write, name="detected", daemon=True).start()

    def _write(self) -> None:
        assert self._path is not None
        with self._lock:
            try:
                state_directory.replace(self._path, json.dumps(sorted(self._names or ())) + "\n")
            except OSError as error:  # detected once more after the next start
                log.warning("device.not_kept", path=str(self._path), why=error.strerror)


def _read(path: Path) -> frozenset[str] | None:
    """Return the names in the file, none if there is no file; None if the file cannot be read."""
    try:
        names = json.loads(state_directory.content(path, max_bytes=_MAX_BYTES))
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        return None
    return frozenset(names)
