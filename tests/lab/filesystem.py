"""A temporary file system for each machine: an overlay on the built root, or a copy if that fails."""

import fcntl
import os
import secrets
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab import cgroups
from tests.lab.root import LabError, locked


class Scratch:
    """A writable view of `root`; changes are discarded on exit."""

    def __init__(self, root: Path, *, machines: Path) -> None:
        self._lower = root
        self._machines = machines
        self._lock = -1
        self.folder = Path()
        self.root = Path()

    def __enter__(self) -> Self:
        self._machines.mkdir(parents=True, exist_ok=True)
        with locked(self._machines / "lock"):
            _sweep(self._machines)
            self.folder = (
                self._machines / f"lab-{secrets.token_hex(4)}"
            )  # also used as the machine's name: no underscores
            self.folder.mkdir()
            self._lock = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.root = self.folder / "root"
        try:
            self._fill()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._lock >= 0:
            _remove(self.folder)
            os.close(self._lock)
            self._lock = -1

    def _fill(self) -> None:
        for name in ("root", "upper", "work"):
            (self.folder / name).mkdir()
        layers = f"lowerdir={self._lower},upperdir={self.folder}/upper,workdir={self.folder}/work"
        mount = ("mount", "-t", "overlay", self.folder.name, "-o", layers, str(self.root))
        if subprocess.run(mount, capture_output=True, check=False).returncode == 0:
            return
        copy = ("cp", "-a", "--reflink=auto", f"{self._lower}/.", str(self.root))
        done = subprocess.run(copy, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"neither an overlay on nor a copy of {self._lower}: {done.stderr.strip()}")


def _sweep(machines: Path) -> None:
    """Remove what a killed test run has left: folders whose lock is free."""
    for folder in machines.glob("lab-*"):
        try:
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # it is being removed already
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            cgroups.remove(cgroups.existing(folder.name))
            _remove(folder)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)


def _remove(folder: Path) -> None:
    root = folder / "root"
    if root.is_mount():
        subprocess.run(("umount", "--recursive", str(root)), capture_output=True, check=False)
    if root.is_mount():
        subprocess.run(("umount", "--lazy", str(root)), capture_output=True, check=True)
    shutil.rmtree(folder, ignore_errors=True)
