"""Ends this process when it hangs and no service manager's watchdog would: exit 70, to be started again.

A thread of its own, because a blocked event loop cannot look after itself.
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

# As long as the unit's WatchdogSec: what is late by less has been seen on loaded machines.
GRACE_S = 30.0
_LOOK_S = 1.0
# A look that is late by more says that this process did not run: it was stopped, or the machine slept.
_PAUSED_S = 5.0
_LAST_WORDS_S = 2.0  # to write one log line, which may hang as well


@dataclass(slots=True, kw_only=True)
class Overdue:
    """Decides when to end the process. Pure: the caller brings the time, in seconds, and the parts that are late."""

    grace_s: float
    _since: float | None = field(default=None, init=False)
    _looked_at: float | None = field(default=None, init=False)

    def looked(self, now: float, late: Sequence[str]) -> bool:
        """Note one look; say whether some part has been late for the whole of the grace period."""
        paused = self._looked_at is not None and now - self._looked_at > _PAUSED_S
        self._looked_at = now
        if not late:
            self._since = None
            return False
        if self._since is None or paused:
            self._since = now
        return now - self._since >= self.grace_s


@contextmanager
def enforcing(deadlines: Deadlines) -> Iterator[None]:
    """Watch the deadlines of all parts, the event loop's among them, for as long as the context lasts."""
    ended = threading.Event()

    def watch() -> None:
        overdue = Overdue(grace_s=GRACE_S)
        while not ended.wait(_LOOK_S):
            late = deadlines.missed(time.monotonic())
            if overdue.looked(time.monotonic(), late):
                _end(late)

    threading.Thread(target=watch, name="deadlines", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _end(late: Sequence[str]) -> None:
    def say() -> None:
        log.critical("daemon.hangs", parts=list(late), hint="this process ends now (exit 70): have it started again")

    words = threading.Thread(target=say, name="last-words", daemon=True)
    words.start()
    words.join(_LAST_WORDS_S)
    os._exit(ExitCode.INTERNAL)
