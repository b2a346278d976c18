"""A worker ends with its daemon, for every way in which a process can end; otherwise it would keep the camera."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.children import alive, living_descendants
from tests.unit.workers.watched import LIMIT_S, REAL, ROGUE

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("no_orphans")

# The limit is a second, measured are milliseconds; the rest is for a busy machine.
PROMISED_S, LOADED_S = 1.0, 4.0


def killed(parent: subprocess.Popen[str]) -> None:
    parent.kill()


def crashed(parent: subprocess.Popen[str]) -> None:
    parent.send_signal(signal.SIGSEGV)


def left(parent: subprocess.Popen[str]) -> None:
    """End at once, without exit handlers."""
    _tell(parent, "exit")


def killed_while_its_loop_hangs(parent: subprocess.Popen[str]) -> None:
    _tell(parent, "hang")
    assert parent.stdout
    assert parent.stdout.readline() == "hanging\n"
    parent.kill()


WAYS = (killed, crashed, left, killed_while_its_loop_hangs)
ROGUES = tuple((ROGUE, mode) for mode in ("live", "flood", "hang", "stopped", "deaf"))


@pytest.mark.parametrize("end", WAYS)
@pytest.mark.parametrize(("module", "mode"), (*((module, "") for module in REAL), *ROGUES))
def test_a_worker_ends_with_its_parent(module: str, mode: str, end: Callable[[subprocess.Popen[str]], None]) -> None:
    """For some of these ends neither parent nor worker can run code; the kernel ends the worker."""
    parent = subprocess.Popen(
        [sys.executable, "-m", "tests.unit.workers.parent", module, mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout
        assert parent.stdout.readline() == "capturing\n"
        [worker] = living_descendants(parent.pid)
        handle = os.pidfd_open(worker)
        try:
            end(parent)
            parent.wait(LIMIT_S)
            began = time.monotonic()
            ended, _, _ = select.select([handle], [], [], LIMIT_S)
            took_s = time.monotonic() - began
        finally:
            os.close(handle)
            if alive(worker):
                os.kill(worker, signal.SIGKILL)
    assert ended
    assert took_s < PROMISED_S + LOADED_S


def _tell(parent: subprocess.Popen[str], what: str) -> None:
    assert parent.stdin
    parent.stdin.write(f"{what}\n")
    parent.stdin.flush()
