"""Faults inside a process.

Python imports this when a daemon or worker starts with this folder on PYTHONPATH; a thread then follows the orders of
`tests.faults.rogue`. No code in `device/` refers to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import importlib.abc
import os
import resource
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_WORKERS = {"device.workers.camera": "device.sources.pattern", "device.workers.microphone": "device.sources.tone"}
_SIZES = (1 << 20, 1 << 16, 1 << 12, 1 << 9, 64)
_MOMENT_S, _LATE_S = 0.2, 2.0
_hoard: list[bytearray] = []
_leaving: set[asyncio.Task[object]] = set()
_refused: list[object] = []


def _socket_to_daemon() -> int:
    return int(sys.orig_argv[-1])


def _objects(module: str, name: str) -> Iterator[Any]:
    wanted = getattr(sys.modules[module], name)
    gc.unfreeze()  # the daemon freezes what it made at its start, and the collector does not list frozen objects
    return (each for each in gc.get_objects() if type(each) is wanted)


def _throw() -> None:
    def fail() -> NoReturn:
        raise RuntimeError("the sensor said no")

    threading.Thread(target=fail, name="capture loop").start()


def _garbage() -> None:
    os.write(_socket_to_daemon(), os.urandom(4096))


def _half() -> None:
    """Send half a message and keep the lock: other threads that send wait without end."""
    from device.ipc.framing import encode
    from device.media.block import Block
    from device.media.picture import AccessUnit

    for link in _objects("device.ipc.worker_link", "WorkerLink"):
        link._sending.acquire()
    payload = b"\0\0\0\1" + bytes(4000)
    camera = "device.workers.camera" in sys.orig_argv
    unit = AccessUnit(payload=payload, key=True, width=320, height=180, number=0, captured_at_us=0)
    message = encode(unit if camera else Block(samples=payload, captured_at_us=0))
    os.write(_socket_to_daemon(), message[: len(message) // 2])


def _exhaust() -> None:
    """Allocate all memory below the limit that was set from outside."""
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
    for size in _SIZES:
        with contextlib.suppress(MemoryError):
            while True:
                _hoard.append(bytearray(size))


def _forgive() -> None:
    """Make the next delay a first one, as after 30 s without a failure; otherwise rows would take hours."""
    for recovery in _objects("device.ipc.restart_policy", "RestartPolicy"):
        recovery._backoff.failures = 0


def _execute_again() -> None:
    """Make the daemon find twice its limit of memory in use, hours after its start."""
    for watch in _objects("device.lifecycle.memory_watch", "MemoryWatch"):
        watch.policy.configured, watch.policy.baseline_mb = 2, 1.0
        for _ in range(2):
            watch.policy.sample(watch._read_mb(), at_s=0.0)
        watch._began_at -= 7 * 3600
        asyncio.run_coroutine_threadsafe(watch._consider(), watch._task.get_loop())


def _rejoin() -> None:
    """Leave the room and join it again, as an operator may ask for."""
    for running in _objects("device.reload.running", "RunningDevice"):
        asyncio.run_coroutine_threadsafe(running.rejoin("the soak test asked for it"), running._joined[0].get_loop())


def _be_impatient() -> None:
    """Wait a moment instead of minutes for a room that was deleted."""
    reasons = sys.modules["device.room.reasons"]
    for name, each in reasons._TABLE.items():
        if each.first_s:
            reasons._TABLE[name] = dataclasses.replace(each, first_s=_MOMENT_S, most_s=_MOMENT_S)


def _answer_leaves_late() -> None:
    """Let the SDK's answer to each leave come after the device has given up waiting."""
    room: Any = sys.modules["livekit.rtc.room"].Room
    real = room.disconnect

    async def disconnect(self: object) -> None:
        leaving = asyncio.create_task(real(self))
        _leaving.add(leaving)
        leaving.add_done_callback(_leaving.discard)
        await asyncio.sleep(_LATE_S)

    room.disconnect = disconnect


def _refuse_publications() -> None:
    """Let each publication fail as if the server had refused it."""
    participant: Any = sys.modules["livekit.rtc.participant"]

    async def publish_track(*_: object) -> NoReturn:
        raise participant.PublishTrackError("the soak test refuses it")

    _refused.append(participant.LocalParticipant.publish_track)
    participant.LocalParticipant.publish_track = publish_track


def _accept_publications() -> None:
    participant: Any = sys.modules["livekit.rtc.participant"]
    participant.LocalParticipant.publish_track = _refused.pop()


def _end_by(number: signal.Signals) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


_ORDERS: dict[str, Callable[[], None]] = {
    "throw": _throw,
    "garbage": _garbage,
    "half": _half,
    "exhaust": _exhaust,
    "forgive": _forgive,
    "again": _execute_again,
    "rejoin": _rejoin,
    "impatient": _be_impatient,
    "leave late": _answer_leaves_late,
    "refuse": _refuse_publications,
    "accept": _accept_publications,
    "segv": _end_by(signal.SIGSEGV),
    "term": _end_by(signal.SIGTERM),
    "exit": lambda: os._exit(0),
}


def _listen(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as orders:
        address = folder / str(os.getpid())
        address.unlink(missing_ok=True)  # of the execution before
        orders.bind(str(address))
        while True:
            order = orders.recv(64).decode()
            with contextlib.suppress(MemoryError):
                _ORDERS[order]()
            while order == "exhaust":
                time.sleep(1)


class _Unplugged(importlib.abc.MetaPathFinder):
    """The source's hardware is absent while a file exists."""

    def __init__(self, module: str, marker: Path) -> None:
        self._module, self._marker = module, marker

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == self._module and self._marker.exists():
            from device.errors import SourceAbsentError

            raise SourceAbsentError("nothing of that name is plugged in")
        return None


def _begin(folder: Path) -> None:
    for module in set(sys.orig_argv) & _WORKERS.keys():
        sys.meta_path.insert(0, _Unplugged(_WORKERS[module], folder / f"absent-{module.rpartition('.')[2]}"))
    # A signal for the process must be delivered to the process's own threads.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    threading.Thread(target=_listen, args=(folder,), name="rogue", daemon=True).start()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


if "ROGUE_FOLDER" in os.environ and {"device", *_WORKERS} & set(sys.orig_argv):
    _begin(Path(os.environ["ROGUE_FOLDER"]))
