"""Sends orders to a process about a fault to cause in itself; see `rogue_site/sitecustomize.py`."""

from __future__ import annotations

import os
import resource
import signal
import socket
import tempfile
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.device import device
from tests.faults.recovery import first_picture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.faults.device import Device
    from tests.faults.ground import Ground

_SITE = Path(__file__).parent / "rogue_site"


@dataclass(frozen=True, slots=True)
class Rogue:
    """`folder` has the sockets of a device's processes, named by process id."""

    folder: Path

    def possess(self, one: Device) -> None:
        """Make a device that has not been started receive orders."""
        path = [str(_SITE), *filter(None, [one.variables.get("PYTHONPATH")])]
        one.variables |= {
            "PYTHONPATH": os.pathsep.join(path),
            "ROGUE_FOLDER": str(self.folder),
            "MALLOC_ARENA_MAX": "1",  # exhausted memory affects all threads
        }

    def tell(self, pid: int, order: str) -> None:
        """Send an order. Raises OSError if the process has ended."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.sendto(order.encode(), str(self.folder / str(pid)))

    def unplug(self, worker: str) -> None:
        """Make the device absent for all later workers."""
        (self.folder / f"absent-{worker}").touch()

    def plug(self, worker: str) -> None:
        (self.folder / f"absent-{worker}").unlink()


@contextmanager
def rogue() -> Iterator[Rogue]:
    with tempfile.TemporaryDirectory(prefix="rogue-") as folder:  # a socket's path has at most 107 characters
        yield Rogue(Path(folder))


@asynccontextmanager
async def possessed(ground: Ground, folder: Path) -> AsyncIterator[tuple[Device, Rogue]]:
    """Run a device that receives orders, from its first picture on."""
    with rogue() as inside:
        async with device(ground.network, [ground.server], folder) as one:
            inside.possess(one)
            one.start()
            await first_picture(one)
            yield one, inside


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault of a worker, by its process id, and the seconds until it must be live again."""

    name: str
    strike: Callable[[Rogue, int], None]
    within_s: float = 3.0


def _signal(number: signal.Signals) -> Callable[[Rogue, int], None]:
    return lambda _, pid: os.kill(pid, number)


def _order(order: str) -> Callable[[Rogue, int], None]:
    return lambda inside, pid: inside.tell(pid, order)


def _exhaust(inside: Rogue, pid: int) -> None:
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    size_kb = next(int(words[1]) for words in lines if words[0] == "VmSize:")
    resource.prlimit(pid, resource.RLIMIT_AS, (size_kb * 1024, size_kb * 1024))
    inside.tell(pid, "exhaust")


_HANG_S = 5.0
KILLED = Fault(name="SIGKILL", strike=_signal(signal.SIGKILL))
STOPPED = Fault(name="SIGSTOP", strike=_signal(signal.SIGSTOP), within_s=_HANG_S)
CRASHED = Fault(name="SIGSEGV", strike=_signal(signal.SIGSEGV))
THROWN = Fault(name="an exception in a thread", strike=_order("throw"))
GARBAGE = Fault(name="garbage on its socket", strike=_order("garbage"))
HALF = Fault(name="half a message, then silence", strike=_order("half"), within_s=_HANG_S)
EXHAUSTED = Fault(name="memory exhausted", strike=_exhaust)
ALL = (KILLED, STOPPED, CRASHED, THROWN, GARBAGE, HALF, EXHAUSTED)
