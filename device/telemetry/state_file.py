"""What the running service says of itself in /run, for `livekit-device check` and for operators."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICE_PATH = Path("/run/livekit-device/state.json")  # RuntimeDirectory= of the unit
_MAX_BYTES = 64 << 10
_READABLE = 0o644  # it holds no secret


class StateFile:
    """Written whole after each change; nothing is written where systemd made no RuntimeDirectory."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> StateFile:
        folder = environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]
        return cls(Path(folder) / SERVICE_PATH.name if folder else None)

    def write(self, state: Mapping[str, object]) -> None:
        """Replace the file; a full or read-only disk is no reason to stop publishing."""
        if self._path is None:
            return
        fresh = self._path.with_suffix(".new")
        with contextlib.suppress(OSError):
            fresh.write_text(json.dumps({"pid": os.getpid(), **state}) + "\n")
            fresh.chmod(_READABLE)
            fresh.replace(self._path)

    def remove(self) -> None:
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()


def read(path: Path = SERVICE_PATH) -> dict[str, Any]:
    """Return the state of a service that is running now; empty if none is, or if its file cannot be read."""
    try:
        with path.open("rb") as file:
            state = json.loads(file.read(_MAX_BYTES))
        pid = state["pid"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    if not isinstance(pid, int) or pid <= 1 or not Path(f"/proc/{pid}").is_dir():
        return {}
    return dict(state)
