"""Processor time and memory of a process tree, from proc_pid_stat(5) and proc_pid_smaps(5)."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from pathlib import Path

from tests.support.children import living_descendants

_TICKS = os.sysconf("SC_CLK_TCK")
_UTIME = 11  # indices of utime, stime, cutime, cstime after the name
_KIB = 1024


def tree(pid: int) -> set[int]:
    return {pid} | living_descendants(pid)


def cpu_s(pid: int) -> float:
    """Return the processor time that a tree has used so far, including reaped children."""
    used = 0.0
    for each in tree(pid):
        with contextlib.suppress(OSError):
            used += used_s(Path(f"/proc/{each}/stat").read_text(), reaped=True)
    return used


def pss_bytes(pid: int) -> int:
    """Return the memory of a tree; shared pages count by their share."""
    total = 0
    for each in tree(pid):
        with contextlib.suppress(OSError):
            total += share_bytes(Path(f"/proc/{each}/smaps_rollup").read_text())
    return total


def threads_s(pid: int) -> dict[str, float]:
    """Return the processor time of each of a process's threads, added up by their names."""
    used: defaultdict[str, float] = defaultdict(float)
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            text = (task / "stat").read_text()
            used[name_in(text)] += used_s(text, reaped=False)
    return used


def used_s(stat: str, *, reaped: bool) -> float:
    """Return the seconds of processor time in a `stat` file, with those of reaped children or without."""
    fields = stat.rpartition(")")[2].split()
    return sum(map(int, fields[_UTIME : _UTIME + (4 if reaped else 2)])) / _TICKS


def name_in(stat: str) -> str:
    """Return the name of a process or thread in its `stat` file; the name may contain any character."""
    return stat.partition("(")[2].rpartition(")")[0]


def share_bytes(smaps_rollup: str) -> int:
    """Return the proportional share in a `smaps_rollup` file."""
    for line in smaps_rollup.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * _KIB
    return 0
