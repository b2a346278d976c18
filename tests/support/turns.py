"""Turns among the processes of one test run: many tests side by side, or one alone."""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack
from pathlib import Path

# Locks on files that are there anyway leave nothing behind.
_DOOR = Path(__file__)
_ROOM = _DOOR.parent / "__init__.py"


class Turns:
    """What this process holds of the run. Without xdist there is nothing to wait for."""

    def __init__(self) -> None:
        self._needed = "PYTEST_XDIST_WORKER" in os.environ
        self._held = ExitStack()
        self._alone = False

    def take(self, *, alone: bool) -> None:
        """Wait until a test may run, beside others or alone."""
        if not self._needed or (self._alone and alone):
            return
        self.give()
        with _DOOR.open() as door:
            # The one that waits for the room holds the door, so that a test that runs alone gets its turn.
            fcntl.flock(door, fcntl.LOCK_EX)
            fcntl.flock(self._held.enter_context(_ROOM.open()), fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        self._alone = alone

    def give(self) -> None:
        self._held.close()
        self._alone = False
