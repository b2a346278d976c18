"""A paused stream: its source goes on, and that is reported a few times a second. Imported when it is first paused."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from device.ipc.messages import NotSent

if TYPE_CHECKING:
    from device.ipc.worker_link import WorkerLink

_REPORT_S = 0.25  # well below the shortest time after which a source counts as stalled


class Pausing:
    """Whether the stream is paused."""

    def __init__(self, link: WorkerLink) -> None:
        self._link = link
        self._paused, self._report_at = False, 0.0

    def pause(self, *, paused: bool) -> None:
        self._paused = paused

    def skips(self) -> bool:
        """Return whether the present picture is not to be sent; report that there is one."""
        if self._paused and (now := time.monotonic()) >= self._report_at:
            self._report_at = now + _REPORT_S
            self._link.send(NotSent())
        return self._paused
