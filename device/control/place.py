"""Where the control socket is: the daemon and the commands look in the same order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from device.unit_directories import SERVICE_RUNTIME, own_runtime

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "control"
_OWN = "livekit-device"


def places(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Return where the socket may be, the first choice first."""
    if runtime := own_runtime(environment):  # of this service, and of no other daemon
        return [runtime / NAME]
    user = environment.get("XDG_RUNTIME_DIR", "")
    return [each / NAME for each in (*([Path(user) / _OWN] if user else []), SERVICE_RUNTIME)]
