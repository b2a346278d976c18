"""A process that executes itself again: what survives, what does not, and what is handed over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from device.lifecycle import execute_again
from device.lifecycle.execute_again import taken_over

if TYPE_CHECKING:
    from pathlib import Path

# Prints what it is at its second execution: its id, descriptors, arguments, and what was handed over.
PROGRAM = """
import json, os, signal, socket, sys, threading, time
from device.lifecycle import signals
from device.lifecycle.execute_again import Handover, execute_again, taken_over

signals.block()
before = taken_over()
if before is None:
    os.putenv("ONLY_NATIVE", "zq")
    kept = [os.pipe(), socket.socketpair()]
    for each in (*kept[0], kept[1][0].fileno(), kept[1][1].fileno()):
        os.set_inheritable(each, True)  # as native libraries leave theirs
    stderr = os.dup(2)
    os.dup2(kept[0][1], 2)  # as `native_output` does
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
    os.kill(os.getpid(), signal.SIGTERM)  # pending: nothing waits for it
    print("first", os.getpid(), flush=True)
    execute_again(Handover(times=3, muted=("camera",), temporary={"camera": {"fps": 9}}), stderr=stderr)
found = {
    "pid": os.getpid(), "descriptors": sorted(map(int, os.listdir("/proc/self/fd")))[:-1], "arguments": sys.argv[1:],
    "times": before.times, "muted": before.muted, "temporary": before.temporary,
    "left": [name for name in os.environ if "HANDOVER" in name],
    "native": "ONLY_NATIVE" in os.environ, "threads": threading.active_count(),
    "pending": signal.SIGTERM in signal.sigpending(), "name": open("/proc/self/comm").read().strip(),
}
print(json.dumps(found), flush=True)
print("said", file=sys.stderr, flush=True)
os._exit(0)
"""


def executed(*, name: str = "", **variables: str) -> tuple[dict[str, object], str]:
    program = PROGRAM
    if name:
        program = f"open('/proc/self/comm', 'w').write({name!r})\n{program}"
    done = subprocess.run(
        (sys.executable, "-c", program, "run", "--config", "a b"),
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    first, found = done.stdout.splitlines()
    result = json.loads(found)
    assert first == f"first {result['pid']}"
    return result, done.stderr


def test_the_process_stays_the_same_without_its_descriptors_and_threads() -> None:
    found, said = executed(name="livekit-device")
    del found["pid"]
    assert found == {
        "descriptors": [0, 1, 2],
        "arguments": ["run", "--config", "a b"],
        "times": 3,
        "muted": ["camera"],
        "temporary": {"camera": {"fps": 9}},
        "left": [],
        "native": False,
        "threads": 1,
        "pending": True,
        "name": "livekit-device",
    }
    assert said == "said\n"


def test_a_program_that_cannot_be_executed_ends_for_a_restart(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom device.lifecycle.execute_again import Handover, execute_again\n"
        f"sys.executable = {str(tmp_path / 'gone')!r}\nexecute_again(Handover(times=1), stderr=2)\n"
    )
    done = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 75
    assert done.stderr == f"{tmp_path / 'gone'} cannot be executed again: No such file or directory\n"


@pytest.mark.parametrize(
    "text",
    (
        *("", "x", "[]", "{}", "null", '{"times": 1}', "[" * 100_000),
        '{"times": -1, "muted": [], "at_s": 0, "name": "x", "temporary": {}}',
        '{"times": "1", "muted": [], "at_s": 0, "name": "x", "temporary": {}}',
        '{"times": 1, "muted": [1], "at_s": 0, "name": "x", "temporary": {}}',
        '{"times": 1, "muted": 1, "at_s": 0, "name": "x", "temporary": {}}',
        '{"times": 1, "muted": [], "at_s": "soon", "name": "x", "temporary": {}}',
        '{"times": 1, "muted": [], "at_s": 0, "temporary": {}, "name": "' + "x" * 99 + '"}',
        '{"times": 1, "muted": [], "at_s": 0, "name": "x", "temporary": "x"}',
        json.dumps({"times": 1, "muted": ["x"] * 99, "at_s": 0, "name": "x", "temporary": {}}),
    ),
)
def test_a_variable_that_is_not_ours_is_ignored_and_removed(text: str) -> None:
    environment = {execute_again._VARIABLE: text, "OTHER": "1"}
    assert taken_over(environment) is None
    assert environment == {"OTHER": "1"}
