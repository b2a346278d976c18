"""A process that hangs ends itself with exit 70, if no service manager's watchdog sees to that."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.lifecycle.enforcer import Overdue

GRACE_S = 30.0


def test_a_part_that_is_late_for_the_whole_grace_period_ends_the_process() -> None:
    overdue = Overdue(grace_s=GRACE_S)
    assert [overdue.looked(float(now), ["room"]) for now in range(32)] == 30 * [False] + 2 * [True]


def test_a_part_that_is_heard_of_again_has_a_fresh_grace_period() -> None:
    overdue = Overdue(grace_s=GRACE_S)
    for now in range(29):
        assert not overdue.looked(float(now), ["room"])
    assert not overdue.looked(29.0, [])
    assert not any(overdue.looked(float(now), ["room"]) for now in range(30, 60))
    assert overdue.looked(60.0, ["room"])


def test_a_process_that_was_stopped_for_long_is_not_ended_for_that() -> None:
    """SIGSTOP, a debugger, a virtual machine that is moved: all parts are late, for nothing ran."""
    overdue = Overdue(grace_s=GRACE_S)
    assert not overdue.looked(0.0, [])
    assert not overdue.looked(1000.0, ["room", "camera", "event loop"])
    assert not overdue.looked(1001.0, ["room"])
    assert not overdue.looked(1002.0, [])


@given(st.lists(st.tuples(st.floats(0.5, 4.0), st.booleans()), max_size=200))
def test_only_an_unbroken_row_of_late_looks_ends_the_process(looks: list[tuple[float, bool]]) -> None:
    overdue, now, late_since = Overdue(grace_s=GRACE_S), 0.0, None
    for step_s, late in looks:
        now += step_s
        late_since = (now if late_since is None else late_since) if late else None
        ended = overdue.looked(now, ["room"] if late else [])
        assert ended == (late_since is not None and now - late_since >= GRACE_S)


_SCRIPT = """
import asyncio, sys, threading, time
from device import log
from device.lifecycle import enforcer
from device.lifecycle import sd_notify as notify
from device.lifecycle.deadlines import Promises

log.configure(level="info", format="json")
enforcer.GRACE_S, enforcer._LOOK_S = 0.5, 0.05
notify._LOOK_S, notify._LOOP_DUE_S = 0.1, 0.3

async def main(mode):
    promises = Promises()
    with enforcer.enforcing(promises):
        keeping = asyncio.create_task(notify.Notifier().keep_alive(promises))
        if mode == "part":
            promises.give("room", now=time.monotonic(), within_s=0.1)
        await asyncio.sleep(0.1)
        if mode == "loop":
            time.sleep(60)
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
