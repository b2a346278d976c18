"""Running a program: what it gets, what becomes of its output, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from device.commands import runner
from device.commands.runner import MAX_OUTPUT_BYTES, Finished
from device.lifecycle.signals import ENDING

SHELL = "/bin/sh"
LOOK = """
import json, os, signal, sys
print(json.dumps({
    "environment": dict(os.environ), "folder": os.getcwd(), "arguments": sys.argv[1:],
    "open": sorted(int(each) for each in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{each}")),
    "input": sys.stdin.read(), "leads": os.getsid(0) == os.getpid() == os.getpgid(0),
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
}))
"""


def ran(*words: str, timeout_s: float = 10.0) -> Finished:
    return asyncio.run(runner.run(words, timeout_s=timeout_s))


def is_running(pid: int) -> bool:
    """Return whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until_gone(pid: int) -> None:
    give_up_at = time.monotonic() + 5
    while is_running(pid):
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def test_a_program_inherits_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x")
    monkeypatch.setenv("DEVICE_CREDENTIALS__API_SECRET", "zq-secret")
    script = tmp_path / "look.py"
    script.write_text(LOOK)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # as the daemon does
    reading, writing = os.pipe()
    for descriptor in (reading, writing):
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - os's signature
    try:
        done = ran(sys.executable, "-I", str(script), "a b; $HOME *", "")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(reading)
        os.close(writing)
    seen = json.loads(done.output)
    assert (done.exit_code, done.timed_out, done.discarded_bytes) == (0, False, 0)
    assert set(seen.pop("environment")) == {"PATH", "LANG"}
    assert seen == {
        "folder": "/",
        "arguments": ["a b; $HOME *", ""],
        "open": [0, 1, 2],
        "input": "",
        "leads": True,
        "blocked": [],
    }


def test_no_signal_is_ignored() -> None:
    _, ignored = ran("/bin/grep", "SigIgn", "/proc/self/status").output.split()
    # Python has no access to 32 and 33, which are the C library's own.
    assert [number for number in signal.valid_signals() if int(ignored, 16) >> (number - 1) & 1] == []


def test_both_outputs_and_the_exit_code_come_back() -> None:
    done = ran(SHELL, "-c", "echo out; echo err >&2; exit 3")
    assert (done.exit_code, done.output, done.timed_out) == (3, b"out\nerr\n", False)
    assert 0 < done.took_s < 10


def test_a_signal_is_a_negative_exit_code() -> None:
    assert ran(SHELL, "-c", "kill -TERM $$").exit_code == -signal.SIGTERM


@pytest.mark.parametrize(("program", "code"), (("/there/is/none", 127), ("/etc/passwd", 126), ("/", 126)))
def test_a_program_that_cannot_be_run_says_why(program: str, code: int) -> None:
    done = ran(program)
    assert done.exit_code == code
    assert done.output.decode().startswith(f"{program}: ")
    assert b"Traceback" not in done.output


def test_output_beyond_the_limit_is_counted_and_the_program_ends() -> None:
    more = 300_000
    done = ran(SHELL, "-c", f"head -c {MAX_OUTPUT_BYTES + more} /dev/zero")
    assert (done.exit_code, len(done.output), done.discarded_bytes) == (0, MAX_OUTPUT_BYTES, more)


def test_a_flood_does_not_keep_the_event_loop_busy() -> None:
    async def scenario() -> tuple[Finished, float]:
        running = asyncio.create_task(runner.run(("/usr/bin/yes",), timeout_s=0.6))
        used = time.process_time()
        done = await running
        return done, time.process_time() - used

    done, used_s = asyncio.run(scenario())
    assert done.timed_out
    assert done.discarded_bytes > 0
    assert used_s < 0.3  # about 0.02 s; reading all the time takes all of it


def test_at_the_timeout_the_whole_group_is_killed() -> None:
    script = "trap '' TERM HUP INT; sleep 60 & echo $!; wait; sleep 60"
    started_at = time.monotonic()
    done = ran(SHELL, "-c", script, timeout_s=0.3)
    assert time.monotonic() - started_at < 3
    assert (done.exit_code, done.timed_out) == (-signal.SIGKILL, True)
    until_gone(int(done.output))


def test_what_a_program_leaves_behind_is_killed_and_not_waited_for() -> None:
    done = ran(SHELL, "-c", "sleep 60 & echo $!")
    assert (done.exit_code, done.timed_out) == (0, False)
    assert done.took_s < 5
    until_gone(int(done.output))


def test_a_cancelled_run_leaves_no_process(tmp_path: Path) -> None:
    mark = tmp_path / "pid"

    async def scenario() -> None:
        running = asyncio.create_task(runner.run((SHELL, "-c", f"echo $$ >{mark}; sleep 60"), timeout_s=60))
        while not mark.exists() or not mark.read_text():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not is_running(int(mark.read_text()))

    asyncio.run(scenario())


def test_a_program_ends_with_the_daemon(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    parent = (
        "import asyncio; from device.commands import runner; "
        f"asyncio.run(runner.run(('/bin/sh', '-c', 'echo $$ >{mark}; exec sleep 60'), timeout_s=60))"
    )
    process = subprocess.Popen((sys.executable, "-c", parent))
    try:
        give_up_at = time.monotonic() + 10
        while not mark.exists() or not mark.read_text():
            assert time.monotonic() < give_up_at
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    until_gone(int(mark.read_text()))


def test_no_descriptor_is_left() -> None:
    async def scenario() -> None:
        await runner.run(("/bin/true",), timeout_s=5)
        before = os.listdir("/proc/self/fd")  # noqa: PTH208 - numbers
        await runner.run(("/usr/bin/yes",), timeout_s=0.05)
        await runner.run(("/bin/true",), timeout_s=5)
        assert os.listdir("/proc/self/fd") == before  # noqa: PTH208

    asyncio.run(scenario())
