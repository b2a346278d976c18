"""The service's state directory: what outlives a restart of the box. Files are small and replaced as a whole."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from device.unit_directories import SERVICE_STATE, own_state

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_READABLE = 0o644


def readable(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder to read from: this process's own, else that of the service, such as for `check`."""
    return own_state(environment) or SERVICE_STATE


def content(path: Path, *, max_bytes: int) -> bytes:
    """Return the content of a file. Raises OSError, also for something else than a file, or for one that is longer."""
    # O_NONBLOCK: there may be a FIFO under this name.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is not a file")
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise OSError(errno.EFBIG, "it is too long")
    return data


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
