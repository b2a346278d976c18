"""Frees what an ended session leaves, and returns memory to the system that glibc keeps: malloc_trim(3)."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

AFTER_S = 5.0
_M_ARENA_MAX = -8  # malloc.h


def use_one_heap() -> None:
    """Let all threads allocate from one heap. Call it before there are threads.

    The SDK starts some 20 threads for each connection. With a heap for each of them what a connection leaves is spread
    over all, and no page can be returned: 180 KB for each reconnection of the SDK, 25 KB with one heap (30 of them).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def keep_what_is_loaded() -> None:
    """Leave all objects of the start out of later garbage collections, which take a tenth of the time then."""
    gc.freeze()


def trim() -> bool:
    """Return unused memory; False if the C library cannot. It takes milliseconds, in which other threads may wait."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is None:
        return False
    malloc_trim.argtypes = [ctypes.c_size_t]
    malloc_trim(0)
    return True


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
