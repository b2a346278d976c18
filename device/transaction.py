"""Replaces several files at once: a crash at any moment leaves all of them old, or a journal that makes them all new.

    stage    each new content is written into one private folder, and synced
    commit   a journal that lists the steps appears in that folder, by one rename
    carry    each step moves a staged file over its target, or removes a target
    tidy     the journal goes, then the folder

Before the commit nothing has changed: what is staged is thrown away. After it the next call carries the
steps out, as often as it takes; each of them may be repeated.
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
    """The files could not be replaced. The text names the file; nothing of a file's content is in it."""


class Recovery(enum.Enum):
    """What a transaction that was interrupted has left."""

    NOTHING = "nothing"
    UNDONE = "undone"  # it had not committed: the files are as before
    FINISHED = "finished"  # it had: the files are the new ones


def replace_all(files: Mapping[Path, bytes | None], *, modes: Mapping[Path, int], staging: Path) -> None:
    """Give each file its new content and mode, or remove it where the content is None.

    :param modes: the mode of each file that is written; its owner is the process's user
    :param staging: a folder that does not exist between two transactions. Its parent exists, on the file system of
        all the files; their folders exist too. `recover` with the same folder finishes what was interrupted.
    :raises TransactionError: nothing has changed, or `recover` has to finish what could not be finished now
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
        _carry_out(staging)


def is_committed(staging: Path) -> bool:
    """Say whether a change waits for `recover` to finish it."""
    return (staging / _JOURNAL).exists()


def recover(staging: Path) -> Recovery:
    """Finish or undo what an interrupted transaction has left; harmless if there is none.

    :raises TransactionError: it cannot be finished now
    """
    with _errors_named(staging), _locked(staging.parent):
        return _recover(staging)


def _recover(staging: Path) -> Recovery:
    if is_committed(staging):
        _carry_out(staging)
        return Recovery.FINISHED
    if not staging.exists():
        return Recovery.NOTHING
    # Empty at the very beginning and at the very end.
    found = Recovery.UNDONE if any(staging.iterdir()) else Recovery.NOTHING
    shutil.rmtree(staging)
    return found


def _demand_replaceable(files: Mapping[Path, bytes | None], staging: Path) -> None:
    """Find out before the commit what would stop the steps after it."""
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
    # The staged files' names must be on the disk before the journal that speaks of them.
    sync_folder(staging)
    sync_folder(staging.parent)
    fresh.replace(staging / _JOURNAL)
    sync_folder(staging)


def _carry_out(staging: Path) -> None:
    journal = staging / _JOURNAL
    try:
        steps = [(Path(each["target"]), each["staged"]) for each in json.loads(journal.read_bytes())["steps"]]
    except (ValueError, KeyError, TypeError):
        what = "is damaged; look at the files that it names, and remove its folder"
        raise TransactionError(f"{journal}: {what}") from None
    for target, staged in steps:
        if staged is None:
            target.unlink(missing_ok=True)
        elif (staging / staged).exists():  # else this step was carried out already
            (staging / staged).replace(target)
    for folder in {target.parent for target, _ in steps}:
        sync_folder(folder)
    journal.unlink()
    sync_folder(staging)
    staging.rmdir()
    sync_folder(staging.parent)


def sync_folder(folder: Path) -> None:
    """Write a folder's names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one transaction at a time work in a folder; the lock ends with the process."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _errors_named(staging: Path) -> Iterator[None]:
    """Turn the system's errors into ours, which name the file."""
    try:
        yield
    except OSError as error:
        raise TransactionError(f"{error.filename2 or error.filename or staging}: {system_text(error)}") from None
