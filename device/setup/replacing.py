"""How a folder takes another one's place: by an exchange, or file by file by a list that a later run can complete."""

from __future__ import annotations

import ctypes
import errno
import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

INSIDE = ".setup"  # the area of a folder that is a mount point, in it
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h
_CANNOT_EXCHANGE = frozenset({errno.EBUSY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.ENOTSUP})
_PENDING = "pending.json"
_SECRET_FOLDER_MODE = 0o700


def exchange(one: Path, other: Path) -> bool:
    """Exchange two names; say False where the kernel or the file system cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number))


def differences(new: Path, old: Path) -> dict[str, bool]:
    """Return the names whose files differ, and whether the new state has them."""
    found = [
        path.relative_to(root)
        for root in (new, old)
        for path in root.rglob("*")
        if path.is_symlink() or not path.is_dir()
    ]
    names = sorted({path.as_posix() for path in found if path.parts[0] != INSIDE})
    return {name: _exists(new / name) for name in names if not _same(new / name, old / name)}


def _exists(path: Path) -> bool:
    return os.path.lexists(path)


def _same(one: Path, other: Path) -> bool:
    return _exists(one) and _exists(other) and os.path.samestat(one.lstat(), other.lstat())


def is_pending(area: Path) -> bool:
    """Say whether a replacement file by file is under way, or was when its process was killed."""
    return (area / _PENDING).is_file()


def write_pending(area: Path, changes: Mapping[str, bool]) -> None:
    fresh = area / f"{_PENDING}.new"
    with fresh.open("w") as file:
        json.dump(changes, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(area / _PENDING)
    sync(area)


def complete(area: Path, target: Path, *, on_step: Callable[[str], None]) -> None:
    """Carry out the list; each entry may have been carried out before."""
    changes: dict[str, bool] = json.loads((area / _PENDING).read_text())
    for name, is_there in changes.items():
        if is_there:
            if not (target / name).parent.is_dir():
                (target / name).parent.mkdir(mode=_SECRET_FOLDER_MODE)
            if _exists(area / "new" / name):
                (area / "new" / name).rename(target / name)
        else:
            (target / name).unlink(missing_ok=True)
        on_step(f"replaced {name}")
    for folder in {(target / name).parent for name in changes}:
        sync(folder)
    (area / _PENDING).unlink()


def sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
