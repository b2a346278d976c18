"""When each step of the start was done, at debug level: `start.step` with the time since the process began.

A step is logged once. Steps overlap: `took_ms` is the time since the step that was done before.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import structlog

log = structlog.get_logger()

_STARTTIME = 19  # of proc(5)'s fields after the name


class Timeline:
    """Keeps steps until the log is configured, which is itself one of the last steps before the workers start."""

    def __init__(self) -> None:
        self._done: dict[str, float] = {}
        self._logged: int | None = None

    def mark(self, step: str) -> None:
        """Note that a step is done; only the first time counts."""
        if step not in self._done:
            self._done[step] = time.clock_gettime(time.CLOCK_BOOTTIME)
            if self._logged is not None:
                self.log()

    def log(self) -> None:
        """Log the steps that have been noted, and from now on each one at once."""
        steps = list(self._done.items())
        before_s = _process_began_s() if not self._logged else steps[self._logged - 1][1]
        began_s = _process_began_s()
        for step, at_s in steps[self._logged or 0 :]:
            at_ms, took_ms = (round(1000 * (at_s - since_s)) for since_s in (began_s, before_s))
            log.debug("start.step", step=step, at_ms=at_ms, took_ms=took_ms)
            before_s = at_s
        self._logged = len(steps)


def _process_began_s() -> float:
    """Return when this process began, by the clock that counts from the boot, to a hundredth of a second."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return int(fields[_STARTTIME]) / os.sysconf("SC_CLK_TCK")


TIMELINE = Timeline()
