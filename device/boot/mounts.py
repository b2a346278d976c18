"""Reads mountinfo (proc(5)): whether a folder is kept at a restart, and which mount to remount for writing."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from device.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# The mounts of the first process, which do not include those of a service's sandbox.
BOARDS_MOUNTINFO = Path("/proc/1/mountinfo")
OWN_MOUNTINFO = Path("/proc/self/mountinfo")
_MOUNT = "/usr/bin/mount"
_REMOUNT_S = 20.0
_IN_MEMORY = frozenset({"tmpfs", "ramfs", "rootfs"})
_ESCAPE = re.compile(r"\\([0-7]{3})")
_DEPTH = 4
# Made by systemd (its container interface), Docker and Podman.
_CONTAINER_MARKERS = ("run/systemd/container", ".dockerenv", "run/.containerenv")


class MountError(DeviceError):
    """A file system cannot be made writable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One line of mountinfo (proc(5)): mount point, type, and options of the file system."""

    place: PurePosixPath
    kind: str
    options: tuple[str, ...]


def parsed(mountinfo: str) -> list[Mount]:
    """Return the mounts in order: a later one hides an earlier one at the same mount point."""
    found = []
    for line in mountinfo.splitlines():
        own, separator, file_system = line.partition(" - ")
        words, details = own.split(" "), file_system.split(" ")
        if separator and len(words) > 4 and len(details) > 2:  # noqa: PLR2004  # proc(5): field 5; type, source, options
            place = PurePosixPath(_unescaped(words[4]))
            found.append(Mount(place=place, kind=details[0], options=tuple(map(_unescaped, details[2].split(",")))))
    return found


def mount_of(mounts: Sequence[Mount], path: PurePosixPath) -> Mount | None:
    """Return the mount that a path is in."""
    holding = [each for each in mounts if path == each.place or each.place in path.parents]
    return max(reversed(holding), key=lambda each: len(each.place.parts), default=None)


def volatile(mounts: Sequence[Mount], path: PurePosixPath, *, in_container: bool) -> str:
    """Return the type of the file system of a path if its files are lost at a restart; else empty.

    An overlay keeps files if its upper folder does. If an initramfs has mounted the overlay, the upper folder is not
    visible later. Such an overlay counts as volatile: the result is a file that stays on the boot partition, which is
    safe. In a container, the container manager keeps the layers.
    """
    mount = mount_of(mounts, path)
    for _ in range(_DEPTH):
        if mount is None or mount.kind != "overlay":
            break
        upper = next((each.partition("=")[2] for each in mount.options if each.startswith("upperdir=")), "")
        below = mount_of(mounts, PurePosixPath(upper)) if upper else None
        if below is None or below == mount:
            return "" if in_container and upper else "overlay"
        mount = below
    return mount.kind if mount is not None and mount.kind in _IN_MEMORY else ""


def in_container(root: Path = Path("/")) -> bool:
    """Return whether a container manager runs this system."""
    return any((root / marker).exists() for marker in _CONTAINER_MARKERS)


def volatile_folder(folder: Path, *, root: Path = Path("/"), mountinfo: Path = BOARDS_MOUNTINFO) -> str:
    """Return what `volatile` returns for a folder below a root; empty if the mounts cannot be read."""
    try:
        found = parsed((root / mountinfo.relative_to("/")).read_text(errors="surrogateescape"))
    except OSError:
        return ""
    place, top = folder.resolve(), root.resolve()
    if place.is_relative_to(top):
        place = "/" / place.relative_to(top)
    return volatile(found, PurePosixPath(place), in_container=in_container(root))


def is_read_only(folder: Path) -> bool:
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


@contextmanager
def writable(folder: Path) -> Iterator[list[str]]:
    """Remount a read-only boot partition as writable for the block.

    Yields a list, which gets a text if the partition cannot be made read-only again. Raises MountError if it cannot be
    made writable.
    """
    problems: list[str] = []
    if not is_read_only(folder):
        yield problems
        return
    mount = mount_of(parsed(OWN_MOUNTINFO.read_text(errors="surrogateescape")), PurePosixPath(folder.resolve()))
    if mount is None or mount.place == PurePosixPath("/"):
        raise MountError(f"{folder}: is on a read-only file system that is not a separate mount; it is not remounted")
    _remount(mount.place, "rw")
    try:
        yield problems
    finally:
        try:
            _remount(mount.place, "ro")
        except MountError as error:
            problems.append(str(error))


def _remount(place: PurePosixPath, mode: str) -> None:
    command = (_MOUNT, "-o", f"remount,{mode}", str(place))
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_REMOUNT_S)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MountError(f"{place}: cannot be remounted {mode}: {type(error).__name__}") from None
    if done.returncode:
        why = " ".join(done.stderr.split())[:200]
        raise MountError(f"{place}: cannot be remounted {mode}: {why}")


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), text)
