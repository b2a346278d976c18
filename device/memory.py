"""Frees what an ended session leaves, and returns memory to the system that glibc keeps: malloc_trim(3)."""

from __future__ import annotations

import asyncio
import gc
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from device.heap import trim

if TYPE_CHECKING:
    from collections.abc import Callable

AFTER_S = 5.0
_STATUS = Path("/proc/self/status")
_ANONYMOUS = frozenset({"RssAnon", "VmSwap"})


def keep_what_is_loaded() -> None:
    """Leave all objects of the start out of later garbage collections: they look at newer ones alone."""
    gc.freeze()


def anonymous_mb(status: Path = _STATUS) -> float:
    """Return this process's anonymous memory, in RAM or swapped out, in megabytes.

    That is what leaks. Pages of files come and go with what other processes map, and a leak that is swapped out is
    still one. The kernel counts both (60 us); PSS would make it walk all pages (milliseconds).
    """
    lines = (line.partition(":") for line in status.read_text().splitlines())
    return sum(int(value.split()[0]) for name, _, value in lines if name in _ANONYMOUS) / 1024


class Trimmer:
    """Collects garbage and trims some seconds after a change; changes meanwhile are covered by the same trim."""

    def __init__(self, *, work: Callable[[], object] = trim, after_s: float = AFTER_S) -> None:
        self._work, self._after_s = work, after_s
        self._due: asyncio.TimerHandle | None = None

    def soon(self) -> None:
        """Trim soon. Call it in the event loop."""
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(self._after_s, self._start)

    def _start(self) -> None:
        self._due = None
        # An ended Room is part of reference cycles, and keeps 130 KB of native memory until Python looks for them: by
        # itself it does so after hundreds of sessions. Here, because finalizers may need the event loop's thread.
        gc.collect()
        threading.Thread(target=self._work, name="trim", daemon=True).start()
