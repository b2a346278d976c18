"""`livekit-device.log` in the folder of the file: the result of the import, to be read on another computer."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from device.errors import DeviceError, system_text
from device.redaction import redacted
from device.transaction import sync_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAME = "livekit-device.log"
_MAX_BYTES = 64 << 10


class CardLogError(DeviceError):
    """The log cannot be written."""


def log_text(lines: Sequence[str]) -> str:
    """Return the log, without secrets. It has no time: the same result is the same text, and is written once."""
    return "".join(f"{redacted(line)}\n" for line in lines)


def is_current(folder: Path, text: str) -> bool:
    """Return whether the log has this text, so that nothing needs to be written."""
    try:
        path = folder / NAME
        return stat.S_ISREG(path.lstat().st_mode) and path.read_bytes()[:_MAX_BYTES] == text.encode()
    except OSError:
        return False


def write(folder: Path, text: str) -> None:
    """Replace the log in place, as FAT can, and sync it. Raises CardLogError."""
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(folder / NAME, flags, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise CardLogError(f"{folder / NAME}: is not a file")
            file.truncate(0)
            file.write(text.encode())
            file.flush()
            os.fsync(descriptor)
        sync_folder(folder)
    except OSError as error:
        raise CardLogError(f"{folder / NAME}: cannot be written: {system_text(error)}") from None
