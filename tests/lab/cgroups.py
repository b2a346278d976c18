"""A control group for each machine, on hosts with the unified or the hybrid hierarchy."""

import contextlib
import os
import signal
import time
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def create(name: str) -> list[Path]:
    """Create the group in each hierarchy that systemd uses; the caller moves its process into all of them."""
    groups = [hierarchy / name for hierarchy in _hierarchies()]
    for group in groups:
        group.mkdir()
    return groups


def existing(name: str) -> list[Path]:
    return [hierarchy / name for hierarchy in _hierarchies() if (hierarchy / name).is_dir()]


def members(group: Path) -> set[int]:
    pids: set[int] = set()
    for listing in group.rglob("cgroup.procs"):
        with contextlib.suppress(OSError):
            pids.update(int(pid) for pid in listing.read_text().split() if pid != "0")
    return pids


def remove(groups: list[Path], *, timeout_s: float = 5.0) -> None:
    """Kill all processes in the groups, then remove the groups."""
    deadline = time.monotonic() + timeout_s
    for group in groups:
        while group.exists():
            for pid in members(group):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(OSError):
                for folder, _, _ in os.walk(group, topdown=False):
                    Path(folder).rmdir()
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)


def _hierarchies() -> list[Path]:
    unified = (CGROUPS / "cgroup.controllers").exists()
    hierarchies = [CGROUPS] if unified else [CGROUPS / "unified", CGROUPS / "systemd"]
    return [hierarchy for hierarchy in hierarchies if hierarchy.is_dir()]
