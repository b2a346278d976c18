"""Replaces the folder of the configuration in one step: after a crash, a kill or a power cut it is old or new, whole.

All that is new is written into a folder beside it, with hard links to what stays, and synced. Then the kernel exchanges
the two folders (renameat2(2), RENAME_EXCHANGE). Where it cannot, as for a mount point or on some overlay file systems,
the files are renamed one by one; a list of them is written first, and the next run completes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from device.errors import DeviceError
from device.setup.replacing import INSIDE, complete, differences, exchange, is_pending, sync, write_pending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOLDER_MODE, SECRET_FOLDER_MODE = 0o755, 0o700
PUBLIC_MODE, SECRET_MODE = 0o644, 0o600
_ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


class TransactionError(DeviceError):
    """Nothing was changed; the text says why."""


class Staging:
    """The new state, while it is made. `folder` has the form of the folder that it replaces.

    `begin`, `write` and `remove` raise OSError: nothing was changed then.
    """

    def __init__(self, target: Path, area: Path, *, on_step: Callable[[str], None]) -> None:
        self.folder = area / "new"
        self._target = target
        self._area = area
        self._on_step = on_step

    def begin(self) -> None:
        """Fill the folder with what is there now: a folder each, and a hard link to each file."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.folder.chmod(FOLDER_MODE)
        if self._target.is_dir():
            _link_tree(self._target, self.folder)
        self._on_step("begun")

    def write(self, name: str, content: bytes, *, mode: int) -> None:
        """Write one file, synced. Whatever had this name stays as it is in the old folder."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        if path.parent != self.folder:
            path.parent.chmod(SECRET_FOLDER_MODE)
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self._on_step(f"written {name}")

    def remove(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)
        self._on_step(f"removed {name}")

    def commit(self) -> None:
        """Put the new state in the old one's place. Raises TransactionError; signals wait until it is done."""
        for folder, _, _ in os.walk(self.folder):
            sync(Path(folder))
        sync(self._area)
        self._on_step("synced")
        with _undisturbed():
            try:
                self._replace()
            except OSError as error:
                done = "run setup again to complete it" if is_pending(self._area) else "nothing was changed"
                raise TransactionError(f"{self._target} cannot be replaced: {error.strerror}; {done}") from None
        self._on_step("committed")

    def _replace(self) -> None:
        self._on_step("replacing")
        if not self._target.exists():
            self.folder.rename(self._target)
        elif not exchange(self.folder, self._target):
            write_pending(self._area, differences(self.folder, self._target))
            self._on_step("pending")
            complete(self._area, self._target, on_step=self._on_step)
        sync(self._target.parent)


@contextmanager
def staging(target: Path, *, on_step: Callable[[str], None] = lambda _step: None) -> Iterator[Staging]:
    """Yield where to make the new state of a folder; what is not committed is removed.

    Completes or clears what a killed run has left behind. Raises TransactionError if another run is under way, or the
    place cannot be written. `on_step` is called after each step, for tests.
    """
    target = target.resolve()  # a link stays a link
    area = _area_of(target)
    try:
        area.mkdir(mode=SECRET_FOLDER_MODE, exist_ok=True)
        lock = os.open(area, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise TransactionError(f"{area.parent} cannot be written: {error.strerror}") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise TransactionError(f"another setup is running on {target}; end that first") from None
        recover(target)
        try:
            yield Staging(target, area, on_step=on_step)
        finally:
            if not is_pending(area):
                shutil.rmtree(area, ignore_errors=True)
    finally:
        os.close(lock)


def recover(target: Path) -> None:
    """Complete a replacement file by file that was killed in the middle. Does nothing where none was."""
    area = _area_of(target)
    if is_pending(area):
        complete(area, target, on_step=lambda _step: None)


def _area_of(target: Path) -> Path:
    """Return where the new state is made: beside the folder; in a mount point, out of which nothing can be renamed."""
    if _is_mount_point(target):
        return target / INSIDE
    return target.parent / f".{target.name}.setup"


def _is_mount_point(path: Path) -> bool:
    """Say whether something is mounted there; os.path.ismount misses bind mounts (proc_pid_mountinfo(5), field 5)."""
    wanted = str(path).replace(" ", r"\040")
    return any(line.split()[4] == wanted for line in Path("/proc/self/mountinfo").read_text().splitlines())


def _link_tree(source: Path, target: Path) -> None:
    _copy_owner(source, target)
    for entry in os.scandir(source):
        if entry.name == INSIDE:
            continue
        there = target / entry.name
        if entry.is_dir(follow_symlinks=False):
            there.mkdir()
            _link_tree(Path(entry.path), there)
        else:
            os.link(entry.path, there, follow_symlinks=False)


def _copy_owner(source: Path, target: Path) -> None:
    status = source.stat()
    with contextlib.suppress(PermissionError):
        os.chown(target, status.st_uid, status.st_gid)
    shutil.copystat(source, target)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep signals that end the process until the block is done."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
