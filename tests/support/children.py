"""Child processes of tests that always end, and checks whether processes are alive."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import subprocess
from pathlib import Path

_END_S = 1.5
_PR_SET_PDEATHSIG = 1

# What serves all tests of this process, so that none of them takes it for its own.
shared: set[int] = set()


def die_with_parent() -> None:
    """Run in the child before exec, so that the child ends when its parent is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end(child: subprocess.Popen[bytes] | subprocess.Popen[str], *, within_s: float = _END_S) -> None:
    """Send SIGTERM to a child, then kill it."""
    with contextlib.suppress(ProcessLookupError):
        child.send_signal(signal.SIGTERM)
    try:
        child.wait(within_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def living_descendants(pid: int) -> set[int]:
    """Return the living descendants of a process, without the shared ones; zombies do not count."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    parents[int(entry.name)] = int(parent)
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid} - shared


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
