"""Measures how idle the machine is, because latencies on a busy machine are not meaningful."""

from __future__ import annotations

from pathlib import Path


class IdleMeter:
    """`percent` returns the idle share of all processors since the last call."""

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
