"""The service's state directory: what outlives a restart of the box. Files are small and replaced as a whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from device.unit_directories import SERVICE_STATE, own_state

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_READABLE = 0o644


def readable(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder to read from: this process's own, else that of the service, such as for `check`."""
    return own_state(environment) or SERVICE_STATE


def replace(path: Path, text: str, *, mode: int = _READABLE) -> None:
    """Replace a file, also on the disk, so that a power cut leaves the old or the new one. Raises OSError."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with fresh.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
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
