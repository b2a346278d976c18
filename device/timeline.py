"""When each step of the start was done, at debug level: `start.step` with the time since the process began.

A step is logged once. Steps overlap: `took_ms` is the time since the step that was done before.
"""

from __future__ import annotations

import os
import time

import structlog

from device.process_start import started_at

log = structlog.get_logger()


class Timeline:
    """Keeps steps until the log is configured, which is itself one of the last steps before the workers start."""

    def __init__(self) -> None:
        self._done: dict[str, float] = {}
        self._logged: int | None = None
        self._began_s: float | None = None

    def began(self, at_s: float) -> None:
        """Note when this process executed itself again, by CLOCK_BOOTTIME."""
        self._began_s = at_s

    def mark(self, step: str) -> None:
        """Note that a step is done; only the first time counts."""
        if step not in self._done:
            self._done[step] = time.clock_gettime(time.CLOCK_BOOTTIME)
            if self._logged is not None:
                self.log()

    def log(self) -> None:
        """Log the steps that have been noted, and from now on each one at once."""
        steps = list(self._done.items())
        began_s = self._began_s or (started_at(os.getpid()) or 0) / os.sysconf("SC_CLK_TCK")
        before_s = steps[self._logged - 1][1] if self._logged else began_s
        for step, at_s in steps[self._logged or 0 :]:
            at_ms, took_ms = (round(1000 * (at_s - since_s)) for since_s in (began_s, before_s))
            log.debug("start.step", step=step, at_ms=at_ms, took_ms=took_ms)
            before_s = at_s
        self._logged = len(steps)


TIMELINE = Timeline()
