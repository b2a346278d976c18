"""The unit's directories: those that the service manager gives this process, and where the service has its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICE_RUNTIME: Final = Path("/run/livekit-device")  # RuntimeDirectory= of the unit
SERVICE_STATE: Final = Path("/var/lib/livekit-device")  # StateDirectory= of the unit


def own_runtime(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the runtime directory of this process; None if there is none."""
    return _first(environment.get("RUNTIME_DIRECTORY", ""))


def own_state(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the state directory of this process; None if there is none."""
    return _first(environment.get("STATE_DIRECTORY", ""))


def _first(folders: str) -> Path | None:
    folder = folders.partition(":")[0]
    return Path(folder) if folder else None
