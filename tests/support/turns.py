"""Turns among the processes of one test run: many tests side by side, or one alone."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Locks on files that are there anyway leave nothing behind.
_DOOR = Path(__file__)
_ROOM = _DOOR.parent / "__init__.py"


@contextmanager
def turn(*, alone: bool) -> Iterator[None]:
    """Wait until a test may run: beside others, or `alone`. Without xdist there is nothing to wait for."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        yield
        return
    with _DOOR.open() as door, _ROOM.open() as room:
        # Whoever waits for the room holds the door, so that a test that runs alone gets its turn.
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
