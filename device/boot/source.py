"""The file on the boot partition: finding, reading and erasing it. The partition is FAT: no owners, modes or links."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from device.errors import DeviceError, system_text
from device.transaction import sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# Windows hides known file name extensions, so a second extension may go unnoticed.
NAMES = ("livekit-device.toml", "livekit-device.toml.txt")
MAX_BYTES = 64 << 10
_REMAINS = b"\0" * 16
_KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISLNK, "a symbolic link"), (stat.S_ISFIFO, "a pipe"))


class SourceFileError(DeviceError):
    """The file on the boot partition cannot be used. The text does not contain its content."""


def candidates(folders: Iterable[Path]) -> list[Path]:
    """Return the entries with one of the names, in any letter case, of the folders that exist; each folder once."""
    seen, found = set(), []
    for folder in folders:
        try:
            status = folder.stat()
            names = sorted(os.listdir(folder))  # noqa: PTH208  # names alone, of files or anything else
        except OSError:
            continue
        if (status.st_dev, status.st_ino) not in seen:
            found += [folder / name for name in names if name.lower() in NAMES]
        seen.add((status.st_dev, status.st_ino))
    return found


def read(path: Path) -> bytes:
    """Return the file's bytes. Raises SourceFileError if it is not a file, empty, too large or unreadable."""
    try:
        _demand_file(path, path.lstat())
        # The file may have been replaced by a link or a pipe since the check.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            _demand_file(path, os.fstat(descriptor))
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SourceFileError(f"{path.name}: cannot be read: {system_text(error)}") from None
    if not data:
        raise SourceFileError(f"{path.name}: is empty; write it again, and eject the card before you remove it")
    if len(data) > MAX_BYTES:
        raise SourceFileError(f"{path.name}: is too large; allowed: {MAX_BYTES >> 10} KiB or less")
    return data


def is_remains(data: bytes) -> bool:
    """Return whether an interrupted `erase` left this: zeros at the beginning, which no text has."""
    return data.startswith(_REMAINS) or not data.strip(b"\0")


def erase(path: Path) -> None:
    """Overwrite the file with zeros, remove it, and sync after each. Raises SourceFileError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            left = os.fstat(descriptor).st_size
            while left > 0:
                left -= os.write(descriptor, bytes(min(left, MAX_BYTES)))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        path.unlink()
        sync_folder(path.parent)
    except OSError as error:
        raise SourceFileError(
            f"{path.name}: cannot be removed: {system_text(error)}; remove it, because it may contain secrets"
        ) from None


def _demand_file(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = next((name for holds, name in _KINDS if holds(status.st_mode)), "not a file")
        raise SourceFileError(f"{path.name}: is {kind}; allowed is a file")
