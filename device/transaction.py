"""Replaces several files as one change: after a crash all of them are old, or a journal completes the change.

    stage    each new content is written into one private folder, and synced
    commit   a journal that lists the steps appears in that folder, by one rename
    apply    each step renames a staged file to its target, or removes a target
    clean    the journal is removed, then the folder

After a crash before the commit, the next call removes the staged files: nothing has changed. After the commit, the next
call applies the steps, each of which can be repeated.
"""

from __future__ import annotations

import contextlib
import enum
import fcntl
import json
import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from device.errors import DeviceError, system_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_JOURNAL = "journal"
_PRIVATE = 0o700


class TransactionError(DeviceError):
    """The files could not be replaced. The text names the file; it does not contain the content."""


class Recovery(enum.Enum):
    """The state of an interrupted transaction."""

    NOTHING = "nothing"
    UNDONE = "undone"  # it had not committed: the files are unchanged
    FINISHED = "finished"  # it had committed: the files are the new ones


def replace_all(files: Mapping[Path, bytes | None], *, modes: Mapping[Path, int], staging: Path) -> None:
    """Give each file its new content and mode, or remove it where the content is None.

    :param modes: the mode of each file that is written; its owner is the process's user
    :param staging: a folder that does not exist between two transactions. Its parent exists, on the file system of
        all the files; their folders exist too. `recover` with the same folder finishes an interrupted transaction.
    :raises TransactionError: nothing has changed, or `recover` has to finish the change
    """
    with _errors_named(staging), _locked(staging.parent):
        _recover(staging)
        _demand_replaceable(files, staging)
        staging.mkdir(_PRIVATE)
        try:
            steps: list[dict[str, str | None]] = []
            for number, (path, content) in enumerate(files.items()):
                staged = None if content is None else _stage(staging / str(number), content, modes[path])
                steps.append({"target": os.fspath(path), "staged": staged})
            _commit(staging, steps)
        except BaseException:
            if not is_committed(staging):
                shutil.rmtree(staging, ignore_errors=True)
            raise
        _apply(staging)


def is_committed(staging: Path) -> bool:
    """Return whether a committed change waits for `recover`."""
    return (staging / _JOURNAL).exists()


def recover(staging: Path) -> Recovery:
    """Finish or undo an interrupted transaction; do nothing if there is none.

    :raises TransactionError: it cannot be finished now
    """
    with _errors_named(staging), _locked(staging.parent):
        return _recover(staging)


def _recover(staging: Path) -> Recovery:
    if is_committed(staging):
        _apply(staging)
        return Recovery.FINISHED
    if not staging.exists():
        return Recovery.NOTHING
    # Empty at the very beginning and at the very end.
    found = Recovery.UNDONE if any(staging.iterdir()) else Recovery.NOTHING
    shutil.rmtree(staging)
    return found


def _demand_replaceable(files: Mapping[Path, bytes | None], staging: Path) -> None:
    """Check before the commit that the steps can be applied."""
    device = staging.parent.stat().st_dev
    for path in files:
        folder = path.parent.stat()
        if folder.st_dev != device:
            raise TransactionError(f"{path}: is on another file system than {staging.parent}; allowed is the same one")
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISDIR(path.lstat().st_mode):
                raise TransactionError(f"{path}: is a folder; allowed is a file, or nothing, under this name")


def _stage(path: Path, content: bytes, mode: int) -> str:
    """Write a file that only its owner may read until it has its mode, and sync it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode & 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    return path.name


def _commit(staging: Path, steps: list[dict[str, str | None]]) -> None:
    fresh = staging / f"{_JOURNAL}.new"
    _stage(fresh, json.dumps({"version": 1, "steps": steps}).encode(), 0o600)
    # The names of the staged files must be on the disk before the journal that lists them.
    sync_folder(staging)
    sync_folder(staging.parent)
    fresh.replace(staging / _JOURNAL)
    sync_folder(staging)


def _apply(staging: Path) -> None:
    journal = staging / _JOURNAL
    try:
        steps = [(Path(each["target"]), each["staged"]) for each in json.loads(journal.read_bytes())["steps"]]
    except (ValueError, KeyError, TypeError):
        what = "is damaged; check the configuration and its credentials, and remove the folder of the journal"
        raise TransactionError(f"{journal}: {what}") from None
    for target, staged in steps:
        if staged is None:
            target.unlink(missing_ok=True)
        elif (staging / staged).exists():  # else this step was applied already
            (staging / staged).replace(target)
    for folder in {target.parent for target, _ in steps}:
        sync_folder(folder)
    journal.unlink()
    sync_folder(staging)
    staging.rmdir()
    sync_folder(staging.parent)


def sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Allow one transaction at a time in a folder; the lock ends with the process."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _errors_named(staging: Path) -> Iterator[None]:
    """Raise system errors as TransactionError, which names the file."""
    try:
        yield
    except OSError as error:
        raise TransactionError(f"{error.filename2 or error.filename or staging}: {system_text(error)}") from None
