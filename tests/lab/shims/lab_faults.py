"""Causes a fault inside the daemon, at each new word for its process id in /run/lab-daemon.

A `.pth` file imports this when an interpreter starts in a unit with LAB_FAULTS; shipped code does not refer to it.
"""

import asyncio
import contextlib
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SWITCH = Path("/run/lab-daemon")
LOOK_S = 0.05
FOR_EVER_S = 1e6


def _objects(kind: Any) -> Iterator[Any]:
    gc.unfreeze()  # the daemon freezes what it made at its start, and the collector does not list frozen objects
    return (each for each in gc.get_objects() if isinstance(each, kind))


def _block() -> None:
    """Block the event loop."""
    for loop in _objects(asyncio.BaseEventLoop):
        if loop.is_running():
            loop.call_soon_threadsafe(time.sleep, FOR_EVER_S)


def _deadlock() -> None:
    """Make the next call into the SDK's library never return."""
    client: Any = sys.modules["livekit.rtc._ffi_client"].FfiClient
    client.request = lambda *_: time.sleep(FOR_EVER_S)


async def _never(*_: object, **__: object) -> None:
    await asyncio.Event().wait()


def _unanswered() -> None:
    """Let the session's monitor wait for ever, without the limit that its waits have."""
    sys.modules["device.room.session_monitor"]._either = _never  # type: ignore[attr-defined]


def _untaken() -> None:
    """Make the SDK take no sound any more, as its statistics then show."""
    feed: Any = sys.modules["device.native_sdk.audio"].NativeSoundFeed
    feed.capture = lambda _feed: None


def _forgive() -> None:
    """Make the next delay a first one, as after 30 s without a failure."""
    for recovery in _objects(sys.modules["device.ipc.restart_policy"].RestartPolicy):
        recovery._backoff.failures = 0


def _execute_again() -> None:
    """Make the daemon find twice its limit of memory in use, hours after its start."""
    for watch in _objects(sys.modules["device.lifecycle.memory_watch"].MemoryWatch):
        watch.policy.configured, watch.policy.baseline_mb = 2, 1.0
        for _ in range(2):
            watch.policy.sample(watch._read_mb(), at_s=0.0)
        watch._began_at -= 7 * 3600
        asyncio.run_coroutine_threadsafe(watch._consider(), watch._task.get_loop())


ORDERS: dict[str, Callable[[], object]] = {
    "blocked": _block,
    "deadlocked": _deadlock,
    "unanswered": _unanswered,
    "untaken": _untaken,
    "forgive": _forgive,
    "again": _execute_again,
    "segv": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "term": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "exit": lambda: os._exit(0),
}


def _words() -> list[str]:
    with contextlib.suppress(OSError):
        return SWITCH.read_text().split()
    return []


def _obey() -> None:
    before = _words()  # the order with which this process executed itself again
    while True:
        words = _words()
        if words != before and words[1:2] == [str(os.getpid())]:
            ORDERS[words[0]]()
        before = words
        time.sleep(LOOK_S)


if "run" in sys.orig_argv:  # not in the workers
    # A signal for the process must be delivered to the process's own threads.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    threading.Thread(target=_obey, name="lab", daemon=True).start()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
