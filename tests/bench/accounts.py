"""Processor time, memory and context switches of a process tree.

From proc_pid_stat(5), proc_pid_smaps(5) and proc_pid_status(5).
"""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from tests.support.children import living_descendants

_TICKS = os.sysconf("SC_CLK_TCK")
_UTIME = 11  # indices of utime, stime, cutime, cstime after the name
_KIB = 1024
_FIRST = "daemon"


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What one process has used since its start: seconds of processor time, and how often its threads began to wait."""

    cpu_s: float
    waits: int


def tree(pid: int) -> set[int]:
    return {pid} | living_descendants(pid)


def cpu_s(pid: int) -> float:
    """Return the processor time that a tree has used so far, including reaped children."""
    used = 0.0
    for each in tree(pid):
        with contextlib.suppress(OSError):
            used += used_s(Path(f"/proc/{each}/stat").read_text(), reaped=True)
    return used


def pss_bytes(pid: int) -> tuple[int, int]:
    """Return the memory of a tree, and how much of it is anonymous; shared pages count by their share."""
    total = anonymous = 0
    for each in tree(pid):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{each}/smaps_rollup").read_text()
            total += share_bytes(text)
            anonymous += share_bytes(text, kind="Pss_Anon")
    return total, anonymous


def used_by_process(pid: int) -> dict[str, Used]:
    """Return what each process of a tree has used so far itself: the first is "daemon", workers have their names."""
    found: dict[str, Used] = {}
    for each in tree(pid):
        with contextlib.suppress(OSError):
            folder = Path(f"/proc/{each}")
            name = process_name((folder / "cmdline").read_bytes())
            if name == _FIRST and each != pid:  # a helper of a moment, such as one that validates
                continue
            waits = sum(voluntary_switches((task / "status").read_text()) for task in (folder / "task").iterdir())
            found[name] = Used(cpu_s=used_s((folder / "stat").read_text(), reaped=False), waits=waits)
    return found


def process_name(cmdline: bytes) -> str:
    """Return the name of a process of this daemon: daemon, camera or microphone. Others are named daemon."""
    for name in ("camera", "microphone", "slate"):
        if f"device.workers.{name}".encode() in cmdline:
            return name
    return _FIRST


def threads(pid: int) -> dict[str, tuple[float, int]]:
    """Return the processor time of a process's threads in seconds, and how often they waited, summed by their names."""
    used: defaultdict[str, tuple[float, int]] = defaultdict(lambda: (0.0, 0))
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            text, waits = (task / "stat").read_text(), voluntary_switches((task / "status").read_text())
            name = name_in(text)
            used[name] = used[name][0] + used_s(text, reaped=False), used[name][1] + waits
    return used


def used_s(stat: str, *, reaped: bool) -> float:
    """Return the seconds of processor time in a `stat` file, with those of reaped children or without."""
    fields = stat.rpartition(")")[2].split()
    return sum(map(int, fields[_UTIME : _UTIME + (4 if reaped else 2)])) / _TICKS


def name_in(stat: str) -> str:
    """Return the name of a process or thread in its `stat` file; the name may contain any character."""
    return stat.partition("(")[2].rpartition(")")[0]


def share_bytes(smaps_rollup: str, *, kind: str = "Pss") -> int:
    """Return the proportional share in a `smaps_rollup` file; of `kind` Pss_Anon, that of anonymous memory."""
    for line in smaps_rollup.splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1]) * _KIB
    return 0


def voluntary_switches(status: str) -> int:
    """Return how often a thread has given up the processor to wait, in its `status` file."""
    for line in status.splitlines():
        if line.startswith("voluntary_ctxt_switches:"):
            return int(line.split()[1])
    return 0
