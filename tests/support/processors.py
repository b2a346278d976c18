"""How busy the machine was: latencies of a machine without idle time say little of the daemon."""

from __future__ import annotations

from pathlib import Path


class IdleMeter:
    """`percent` says how much of all processors was idle since it was last asked."""

    def __init__(self) -> None:
        self._idle, self._all = _ticks()

    def percent(self) -> float:
        idle, in_all = _ticks()
        share = 100 * (idle - self._idle) / max(1, in_all - self._all)
        self._idle, self._all = idle, in_all
        return share


def _ticks() -> tuple[int, int]:
    """Return idle and all ticks since boot (proc_stat(5): user nice system idle iowait irq softirq steal)."""
    line, _, _ = Path("/proc/stat").read_text().partition("\n")
    ticks = [int(each) for each in line.split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)
