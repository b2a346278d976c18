"""Ends this process with exit code 70 if it hangs and no service manager's watchdog does that.

It runs in a thread, because a blocked event loop cannot check itself.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from device.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from device.lifecycle.deadlines import Deadlines

log = structlog.get_logger()

# Equal to the unit's WatchdogSec: on loaded machines parts are late by less than that.
GRACE_S = 30.0
_INTERVAL_S = 1.0
# If a check is later than this, the process did not run: it was stopped, or the machine was suspended.
_PAUSED_S = 5.0
_LOG_S = 2.0  # the time to write one log line, which may hang as well


@dataclass(slots=True, kw_only=True)
class Overdue:
    """Decides when to end the process. Pure: the caller supplies the time, in seconds, and the late parts."""

    grace_s: float
    _since: float | None = field(default=None, init=False)
    _checked_at: float | None = field(default=None, init=False)

    def check(self, now: float, late: Sequence[str]) -> bool:
        """Return whether some part has been late at every check for the whole grace period."""
        paused = self._checked_at is not None and now - self._checked_at > _PAUSED_S
        self._checked_at = now
        if not late:
            self._since = None
            return False
        if self._since is None or paused:
            self._since = now
        return now - self._since >= self.grace_s


@contextmanager
def enforcing(deadlines: Deadlines) -> Iterator[None]:
    """Watch the deadlines of all parts, including the event loop's, while the context lasts."""
    ended = threading.Event()

    def watch() -> None:
        overdue = Overdue(grace_s=GRACE_S)
        while not ended.wait(_INTERVAL_S):
            late = deadlines.missed(time.monotonic())
            if overdue.check(time.monotonic(), late):
                _end(late)

    threading.Thread(target=watch, name="deadlines", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _end(late: Sequence[str]) -> None:
    def report() -> None:
        log.critical("daemon.hangs", parts=list(late), hint="this process ends now (exit 70); restart it")

    reporter = threading.Thread(target=report, name="report-hang", daemon=True)
    reporter.start()
    reporter.join(_LOG_S)
    os._exit(ExitCode.INTERNAL)
