"""Where the configuration comes from: names and paths alone, so that looking needs no schema."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PATH = Path("/etc/livekit-device/device.toml")
PREFIX = "DEVICE_"
DELIMITER = "__"
PATH_VARIABLE = f"{PREFIX}CONFIG"
_ROOM = f"{PREFIX}ROOM{DELIMITER}"


def is_set_up(
    argument: Path | None, environment: Mapping[str, str] = os.environ, *, default: Path | None = None
) -> bool:
    """Say whether there is anything that names a room: a file that is named, the default one, or a variable.

    A default file that is there but cannot be read, or a link that leads nowhere, is a configuration with a mistake.
    """
    if argument or environment.get(PATH_VARIABLE):
        return True
    if any(name.upper().startswith(_ROOM) and value.strip() for name, value in environment.items()):
        return True
    try:
        (default or DEFAULT_PATH).lstat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True
