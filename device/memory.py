"""Returns memory to the system that glibc keeps after a start and after each session: malloc_trim(3)."""

from __future__ import annotations

import asyncio
import ctypes
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

AFTER_S = 5.0


def trim() -> bool:
    """Return unused memory; False if the C library cannot. It takes milliseconds, in which other threads may wait."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is None:
        return False
    malloc_trim.argtypes = [ctypes.c_size_t]
    malloc_trim(0)
    return True


class Trimmer:
    """Trims some seconds after a change, beside the event loop; changes meanwhile are covered by the same trim."""

    def __init__(self, *, work: Callable[[], object] = trim, after_s: float = AFTER_S) -> None:
        self._work, self._after_s = work, after_s
        self._due: asyncio.TimerHandle | None = None

    def soon(self) -> None:
        """Trim soon. Call it in the event loop."""
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(self._after_s, self._start)

    def _start(self) -> None:
        self._due = None
        threading.Thread(target=self._work, name="trim", daemon=True).start()
