"""Turns among the processes of one test run: many tests side by side, or one alone."""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def turn(*, alone: bool) -> Iterator[None]:
    """Wait until a test may run: beside others, or `alone`, before which no other test of this run begins."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if not run:
        yield
        return
    base = Path(tempfile.gettempdir())
    # A turn is asked for at the door. A test that waits for its turn alone keeps the door shut, so it does not starve.
    with (base / f"{run}.door").open("w") as door, (base / f"{run}.room").open("w") as room:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
