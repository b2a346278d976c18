"""The service's state directory: what outlives a restart of the box. Files are small and replaced as a whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICE_PATH = Path("/var/lib/livekit-device")  # StateDirectory= of the unit
_READABLE = 0o644  # no file here holds a secret


def own(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the folder that the service manager gives this process; None if there is none."""
    folder = environment.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(folder) if folder else None


def readable(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder to read from: this process's own, else that of the service, such as for `check`."""
    return own(environment) or SERVICE_PATH


def replace(path: Path, text: str) -> None:
    """Replace a file, also on the disk, so that a power cut leaves the old or the new one. Raises OSError."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with fresh.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), _READABLE)
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
