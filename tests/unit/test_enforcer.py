"""A process that hangs exits with 70, unless a service manager's watchdog ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.lifecycle.enforcer import Overdue
from tests.support.daemon import SERVERLESS, Daemon, start_altered

if TYPE_CHECKING:
    from pathlib import Path

GRACE_S = 30.0


def test_a_part_that_is_late_for_the_whole_grace_period_ends_the_process() -> None:
    overdue = Overdue(grace_s=GRACE_S)
    assert [overdue.check(float(now), ["room"]) for now in range(32)] == 30 * [False] + 2 * [True]


def test_a_part_that_meets_its_deadline_again_gets_a_new_grace_period() -> None:
    overdue = Overdue(grace_s=GRACE_S)
    for now in range(29):
        assert not overdue.check(float(now), ["room"])
    assert not overdue.check(29.0, [])
    assert not any(overdue.check(float(now), ["room"]) for now in range(30, 60))
    assert overdue.check(60.0, ["room"])


def test_a_process_that_was_stopped_for_long_is_not_ended() -> None:
    """SIGSTOP, a debugger, a moved virtual machine: all parts are late, because nothing ran."""
    overdue = Overdue(grace_s=GRACE_S)
    assert not overdue.check(0.0, [])
    assert not overdue.check(1000.0, ["room", "camera", "event loop"])
    assert not overdue.check(1001.0, ["room"])
    assert not overdue.check(1002.0, [])


@given(st.lists(st.tuples(st.floats(0.5, 4.0), st.booleans()), max_size=200))
def test_only_consecutive_late_checks_end_the_process(looks: list[tuple[float, bool]]) -> None:
    overdue, now, late_since = Overdue(grace_s=GRACE_S), 0.0, None
    for step_s, late in looks:
        now += step_s
        late_since = (now if late_since is None else late_since) if late else None
        ended = overdue.check(now, ["room"] if late else [])
        assert ended == (late_since is not None and now - late_since >= GRACE_S)


_SCRIPT = """
import asyncio, sys, threading, time
from device import log
from device.lifecycle import enforcer
from device.lifecycle import sd_notify as notify
from device.lifecycle.deadlines import Deadlines

log.configure(level="info", format="json")
enforcer.GRACE_S, enforcer._INTERVAL_S, enforcer._PAUSED_S = 0.5, 0.05, 0.25
notify._INTERVAL_S, notify._LOOP_DUE_S = 0.1, 0.3

async def main(mode):
    deadlines = Deadlines()
    with enforcer.enforcing(deadlines):
        keeping = asyncio.create_task(notify.Notifier().keep_alive(deadlines))
        if mode == "part":
            deadlines.give("room", now=time.monotonic(), within_s=0.1)
        await asyncio.sleep(0.1)
        if mode == "loop":
            time.sleep(60)
        print("runs", flush=True)
        await asyncio.sleep(3 if mode == "fine" else 60)
        keeping.cancel()

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize(
    ("mode", "code", "parts"), (("part", 70, ["room"]), ("loop", 70, ["event loop"]), ("fine", 0, []))
)
def test_a_hang_ends_with_exit_70_and_a_line_that_names_the_part(mode: str, code: int, parts: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, mode], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == code, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["parts"] for line in lines if line["event"] == "daemon.hangs"] == ([parts] if parts else [])
    for line in lines:
        assert "exit 70" in line["hint"]


def test_a_process_that_was_stopped_and_continues_is_not_ended() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, "fine"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "runs\n"
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(2)  # four times the grace period
        os.kill(process.pid, signal.SIGCONT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, "")


# The real command, with one failure a while after the start.
_DAEMON = """
import asyncio, sys, threading, time
from device import cli
from device.lifecycle import enforcer
from device.lifecycle import sd_notify as notify

enforcer.GRACE_S = 1.0
notify._INTERVAL_S, notify._LOOP_DUE_S = 0.5, 1.0
run = asyncio.run

async def struck(main):
    loop = asyncio.get_running_loop()
    def strike():
        sys.stdin.readline()
        loop.call_soon_threadsafe(time.sleep, 1000)
    threading.Thread(target=strike, daemon=True).start()
    return await main

asyncio.run = lambda main: run(struck(main))
sys.exit(cli.main())
"""


_BLOCKED_CODE, _GOES_ON = 70, None
_NOBODY, _HALF_A_MINUTE = "@livekit-device-test-nobody", "30000000"


@pytest.mark.parametrize(
    ("manager", "code"),
    (
        ({}, _BLOCKED_CODE),
        ({"NOTIFY_SOCKET": _NOBODY}, _BLOCKED_CODE),  # a manager without WatchdogSec
        ({"WATCHDOG_USEC": _HALF_A_MINUTE}, _BLOCKED_CODE),  # no watchdog to ping
        (
            {"NOTIFY_SOCKET": _NOBODY, "WATCHDOG_USEC": _HALF_A_MINUTE, "WATCHDOG_PID": "1"},
            _BLOCKED_CODE,
        ),
        ({"NOTIFY_SOCKET": _NOBODY, "WATCHDOG_USEC": _HALF_A_MINUTE}, _GOES_ON),
    ),
)
@pytest.mark.usefixtures("no_orphans")
def test_a_daemon_whose_loop_is_blocked_ends_itself_unless_a_manager_does(
    manager: dict[str, str], code: int | None, tmp_path: Path
) -> None:
    variables = SERVERLESS | {"DEVICE_CAMERA__SOURCE": "off", "DEVICE_MICROPHONE__SOURCE": "tone"}
    clean = {name: value for name, value in os.environ.items() if name not in ("NOTIFY_SOCKET", "WATCHDOG_USEC")}
    process = start_altered(_DAEMON, tmp_path / "device.toml", clean | variables | manager)
    running = Daemon(process)
    try:
        running.event("worker.state", worker="microphone", new="live", within_s=60)
        running.event("room.waiting", within_s=60)
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
        if code is not None:
            assert process.wait(20) == code
            line = running.event("daemon.hangs")
            assert "event loop" in line["parts"]
            assert "exit 70" in line["hint"]
        else:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(4)
    finally:
        process.kill()
        process.communicate()
        running.close()
