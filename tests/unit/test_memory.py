"""Memory goes back to the system some seconds after a change."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import weakref

from device.memory import Trimmer

_LIMIT_S = 60.0
# Chunks that glibc takes from its heap; the last one stays, so that the heap's end cannot move.
_PROGRAM = """
import ctypes, pathlib, sys
from device.heap import trim
def resident_mb():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
chunks = [libc.malloc(8 << 10) for _ in range(8000)]
for each in chunks:
    ctypes.memset(each, 1, 8 << 10)
full = resident_mb()
for each in chunks[:-1]:
    libc.free(each)
kept = resident_mb()
trimmed = trim()
print(trimmed, full - kept < 10, kept - resident_mb() > 50)
"""


def test_glibc_keeps_freed_memory_until_it_is_trimmed() -> None:
    done = subprocess.run((sys.executable, "-c", _PROGRAM), capture_output=True, text=True, check=True)
    assert done.stdout == "True True True\n"


def test_changes_in_a_short_time_are_one_trim_beside_the_loop() -> None:
    threads: list[threading.Thread] = []

    async def main() -> None:
        done = asyncio.Event()
        loop = asyncio.get_running_loop()

        def work() -> None:
            threads.append(threading.current_thread())
            loop.call_soon_threadsafe(done.set)

        trimmer = Trimmer(work=work, after_s=0.01)
        for number in (1, 2):
            for _ in range(5):
                trimmer.soon()
            assert len(threads) == number - 1
            async with asyncio.timeout(_LIMIT_S):
                await done.wait()
            done.clear()
            assert len(threads) == number

    asyncio.run(main())
    assert {each.name for each in threads} == {"trim"}


def test_an_ended_room_is_found_although_it_is_part_of_a_cycle() -> None:
    class Room:
        def __init__(self) -> None:
            self.itself = self

    freed = threading.Event()

    async def scenario() -> None:
        gc.disable()  # or Python may find it by itself
        try:
            weakref.finalize(Room(), freed.set)
            trimmed = asyncio.Event()
            loop = asyncio.get_running_loop()
            Trimmer(work=lambda: loop.call_soon_threadsafe(trimmed.set), after_s=0).soon()
            assert not freed.is_set()
            await trimmed.wait()
            assert freed.is_set()
        finally:
            gc.enable()

    asyncio.run(scenario())


_HEAPS = """
import ctypes, sys, threading
from device.heap import use_one_heap
if sys.argv[1] == "one":
    use_one_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
places = []
def allocate():
    places.append(libc.malloc(64))
    together.wait()
together = threading.Barrier(4)
threads = [threading.Thread(target=allocate) for _ in range(4)]
for each in threads: each.start()
for each in threads: each.join()
print(len({each >> 26 for each in places}))
"""  # glibc's heaps of other threads are aligned to 64 MB


def test_all_threads_share_one_heap() -> None:
    def heaps(how: str) -> int:
        done = subprocess.run((sys.executable, "-c", _HEAPS, how), capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert heaps("one") == 1
    assert heaps("many") > 1
