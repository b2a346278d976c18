"""Signals from other processes, and a panic of the native library, which sends SIGTERM to its own process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.children import living_descendants
from tests.support.daemon import SERVERLESS, SYNTHETIC, Daemon, running_altered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_orphans")

LIMIT_S = 60
PANIC_S, LOADED_S = 5.0, 5.0  # the first part is the daemon's, the second is for a busy machine

TOLD = """
import asyncio, os, signal, subprocess, threading, time
from device.lifecycle import signals

signals.block()

def kill():
    os.kill(os.getpid(), signal.SIGTERM)

async def main():
    {before}
    print("waiting", flush=True)
    print(await signals.until_signalled(), flush=True)
    await asyncio.sleep(1)  # for the thread's last word

asyncio.run(main())
"""

# The real command; the test's commands on standard input run inside it.
COMMAND = """
import asyncio, os, signal, sys, threading, time
from device import cli

run = asyncio.run

def misfortune(loop):
    if sys.stdin.readline() == "hang\\n":
        loop.call_soon_threadsafe(time.sleep, 1000)
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)

async def struck(main):
    threading.Thread(target=misfortune, args=(asyncio.get_running_loop(),), daemon=True).start()
    return await main

asyncio.run = lambda main: run(struck(main))
sys.exit(cli.main())
"""


@contextmanager
def waiting(before: str = "pass") -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that prints whether the signal came from itself."""
    program = TOLD.format(before=before)
    # Unbuffered: communicate() does not return data that is buffered already.
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"waiting\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
def test_a_signal_from_another_process_is_a_request_to_stop(number: signal.Signals) -> None:
    with waiting() as process:
        process.send_signal(number)
        assert process.communicate(timeout=LIMIT_S) == (b"False\n", b"")
        assert process.returncode == 0


@pytest.mark.parametrize(
    "before",
    (
        "kill()",  # before until_signalled is awaited
        "asyncio.get_running_loop().call_later(0.2, kill)",
        "threading.Timer(0.2, kill).start()",
    ),
)
def test_a_signal_from_the_process_itself_is_a_panic(before: str) -> None:
    with waiting(before) as process:
        out, err = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0
        assert b"True" in out
        assert b"False" not in out
        assert b"daemon.native_panic" in out + err


def test_a_signal_from_a_child_is_a_request_to_stop() -> None:
    with waiting('subprocess.Popen(["sh", "-c", "sleep 0.2; kill -TERM $PPID"])') as process:
        assert process.communicate(timeout=LIMIT_S)[0] == b"False\n"


def test_a_loop_that_hangs_after_a_panic_is_ended() -> None:
    hang = "threading.Timer(0.3, kill).start(); asyncio.get_running_loop().call_later(0.2, time.sleep, 1000)"
    with waiting(hang) as process:
        began = time.monotonic()
        out, err = process.communicate(timeout=LIMIT_S)
        took_s = time.monotonic() - began
    assert process.returncode == 70
    assert b"daemon.native_panic" in out + err
    assert PANIC_S - 1 < took_s < PANIC_S + LOADED_S


@contextmanager
def daemon(config: Path) -> Iterator[Daemon]:
    """Run the whole daemon, with an unreachable server."""
    with running_altered(COMMAND, config, os.environ | SYNTHETIC | SERVERLESS) as running:
        for worker in ("camera", "microphone"):
            running.event("worker.state", worker=worker, new="live", within_s=LIMIT_S)
        running.event("room.waiting", within_s=LIMIT_S)
        yield running


def strike(running: Daemon, what: str) -> tuple[int, float]:
    """Cause something inside the daemon; return its exit code and how long it took to end."""
    assert running.process.stdin
    began = time.monotonic()
    running.process.stdin.write(f"{what}\n")
    running.process.stdin.flush()
    code = running.process.wait(LIMIT_S)
    return code, time.monotonic() - began


@pytest.mark.parametrize("what", ("panic", "hang"))
def test_the_daemon_logs_a_panic_and_exits_for_a_restart(what: str, tmp_path: Path) -> None:
    with daemon(tmp_path / "device.toml") as running:
        workers = living_descendants(running.pid)
        assert len(workers) == 2
        code, took_s = strike(running, what)
        assert code == 70  # Restart=always
        assert took_s < PANIC_S + LOADED_S
        line = running.event("daemon.native_panic", within_s=LIMIT_S)
        assert line["level"] == "critical"
        assert line["priority"] == 2
        if what == "panic":
            running.event("daemon.failed", error="NativePanicError", within_s=LIMIT_S)
        assert "daemon.stopped" not in [each.get("event") for each in running.lines]
    give_up_at = time.monotonic() + LOADED_S
    while living_descendants(os.getpid()) & workers:
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def test_a_daemon_that_is_stopped_logs_no_panic(tmp_path: Path) -> None:
    with daemon(tmp_path / "device.toml") as running:
        code, _ = running.stop()
        assert code == 0
        running.event("daemon.stopped", within_s=LIMIT_S)
        assert "daemon.native_panic" not in [each.get("event") for each in running.lines]


STOPPED = """
import asyncio, os, signal
from device.lifecycle import signals

signals.block()

async def main():
    waiting = signals.EndingSignals()
    {before}
    words = [waiting.stop(), waiting.stop()]
    {after}
    os.write(2, repr((*words, signal.SIGTERM in signal.sigpending())).encode())  # another thread logs to the other one

asyncio.run(main())
os._exit(0)
"""


@pytest.mark.parametrize(
    ("before", "after", "printed"),
    (
        ("pass", "os.kill(os.getpid(), signal.SIGTERM)", "(None, None, True)"),
        # One that comes from elsewhere does not stop the waiting.
        ("os.kill(os.getpid(), signal.SIGRTMIN); os.kill(os.getpid(), signal.SIGTERM)", "pass", "(PID, PID, False)"),
    ),
)
def test_a_signal_that_comes_after_the_waiting_stays_pending(before: str, after: str, printed: str) -> None:
    if "PID" in printed:
        before += "; await waiting.received()"
    program = STOPPED.format(before=before, after=after)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        _, words = process.communicate(timeout=LIMIT_S)
        assert words == printed.replace("PID", str(process.pid))
