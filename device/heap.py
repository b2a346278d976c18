"""How the C library keeps memory. Its functions do nothing with a library that is not glibc."""

from __future__ import annotations

import contextlib
import ctypes

# malloc.h of glibc
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_KEEP_BYTES = 16 << 20  # two pictures of 2160p; of 720p two take 3 MB
_FROM_SYSTEM_BYTES = 32 << 20  # the highest threshold that glibc accepts


def keep_freed_pictures() -> None:
    """Let the heap keep a freed picture for the next one.

    Otherwise glibc returns it to the system whenever it happens to lie at the heap's end, and each next picture of 720p
    takes 340 page faults: 0.5 ms of the 0.9 ms that reading it takes (measured).
    """
    _set(_M_MMAP_THRESHOLD, _FROM_SYSTEM_BYTES)
    _set(_M_TRIM_THRESHOLD, _KEEP_BYTES)


def use_one_heap() -> None:
    """Let all threads allocate from one heap. Call it before there are threads.

    The SDK starts some 20 threads for each connection. With a heap for each of them what a connection leaves is spread
    over all, and no page can be returned: 180 KB for each reconnection of the SDK, 25 KB with one heap (30 of them).
    """
    _set(_M_ARENA_MAX, 1)


def trim() -> bool:
    """Return unused memory; False if the C library cannot. It takes milliseconds, in which other threads may wait."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is None:
        return False
    malloc_trim.argtypes = [ctypes.c_size_t]
    malloc_trim(0)
    return True


def _set(option: int, value: int) -> None:
    with contextlib.suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(option, value)
