"""Where the control socket is: the daemon and the commands look in the same order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "control"
SERVICE_FOLDER = Path("/run/livekit-device")  # RuntimeDirectory= of the unit
_OWN = "livekit-device"


def places(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Return where the socket may be, the first choice first."""
    runtime = environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    user = environment.get("XDG_RUNTIME_DIR", "")
    folders = [*([Path(runtime)] if runtime else []), *([Path(user) / _OWN] if user else []), SERVICE_FOLDER]
    return [each / NAME for each in dict.fromkeys(folders)]
