"""The state of the running service, as a file in /run, for `livekit-device check` and for operators."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from typing import TYPE_CHECKING, Any

from device.printable import printable
from device.process_start import started_at
from device.unit_directories import SERVICE_RUNTIME, own_runtime

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SERVICE_PATH = SERVICE_RUNTIME / "state.json"
_MAX_BYTES = 64 << 10
_MAX_TEXT = 500
_MAX_PID = 1 << 22  # proc(5), /proc/sys/kernel/pid_max
_READABLE = 0o644  # it holds no secret


class StateFile:
    """Written whole after each change; nothing is written if there is no RuntimeDirectory."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> StateFile:
        folder = own_runtime(environment)
        return cls(folder / SERVICE_PATH.name if folder else None)

    def write(self, state: Mapping[str, object]) -> None:
        """Replace the file; a full or read-only disk does not stop publishing."""
        if self._path is None:
            return
        fresh = self._path.with_suffix(".new")
        with contextlib.suppress(OSError):
            own = {"pid": os.getpid(), "started": started_at(os.getpid())}
            fresh.write_text(json.dumps(own | dict(state)) + "\n")
            fresh.chmod(_READABLE)
            fresh.replace(self._path)

    def remove(self) -> None:
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()


def read(path: Path = SERVICE_PATH) -> dict[str, Any]:
    """Return the state of a service that is running now; empty if none is, or if its file cannot be read."""
    try:
        # O_NONBLOCK: there may be a FIFO under this name.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return {}
            state = json.loads(file.read(_MAX_BYTES))
        pid, started = state["pid"], state.get("started")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    if not isinstance(pid, int) or isinstance(pid, bool) or not 1 < pid < _MAX_PID:
        return {}
    now = started_at(pid)
    if now is None or started not in (None, now):  # it has ended, and another process may have its number
        return {}
    texts = {str(key): printable(value[:_MAX_TEXT]) for key, value in state.items() if isinstance(value, str)}
    return {"pid": pid, **texts}
