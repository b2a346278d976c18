"""What a supervisor says and does of a source that is away, odd or cannot be begun; with real worker processes."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from device.ipc import hotplug
from device.ipc import worker_process as child
from device.ipc.framing import Received
from device.ipc.worker_process import WorkerProcess
from device.ipc.worker_state import WorkerState
from tests.support.children import living_descendants
from tests.unit.workers.watched import LIMIT_S, Watcher, rogue_job, supervised

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_orphans")


def test_a_device_that_is_not_there_is_absent_and_not_told_again_and_again() -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: len(watcher.pids) >= 3)

    with capture_logs() as lines:
        watcher = supervised(lambda: Watcher("absent"), act)
    # The rogue sends a block first: it is live for a moment.
    assert set(watcher.states) == {(WorkerState.LIVE, ""), (WorkerState.ABSENT, "the device is not connected")}
    assert [line["times"] for line in lines if line["event"] == "worker.restarting"][:2] == [1, 2]


def test_a_device_that_was_never_there_is_told_once() -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: watcher.reasons)
        await asyncio.sleep(2)  # for more tries

    with capture_logs() as lines:
        watcher = supervised(lambda: Watcher("absent", first=False), act)
    assert len([line for line in lines if line["event"] == "worker.spawned"]) > 1
    assert watcher.states == [(WorkerState.ABSENT, "the device is not connected")]


def test_a_device_that_is_plugged_in_is_begun_with_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dev").mkdir()
    _root(tmp_path, monkeypatch)

    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: watcher.reasons)
        await asyncio.sleep(2 * hotplug.POLL_INTERVAL_S)
        assert len(watcher.pids) == 1
        (tmp_path / "dev/video0").touch()
        await watcher.until(lambda: len(watcher.pids) >= 2)

    with capture_logs() as lines:
        supervised(lambda: _patient(Watcher("absent")), act)
    assert [line["worker"] for line in lines if line["event"] == "worker.device_connected"] == ["rogue"]


def test_a_device_that_was_never_detected_starts_no_second_worker_until_one_is_connected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dev").mkdir()
    camera = tmp_path / "camera"
    _root(tmp_path, monkeypatch)

    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: watcher.states)
        await asyncio.sleep(3 * hotplug.POLL_INTERVAL_S)
        assert watcher.states == [(WorkerState.NOT_PRESENT, "")]
        assert len(watcher.failures) == 1
        assert watcher.deadlines.missed(time.monotonic() + 25) == []
        (tmp_path / "dev/video0").touch()  # the name appears before the device can be used
        await watcher.until_failures(2)
        camera.touch()
        await watcher.until(lambda: watcher.times_known)
        await watcher.until(lambda: watcher.states[-1][0] is WorkerState.LIVE)
        camera.unlink()  # detected once, its absence is a fault, and it is retried
        await watcher.until(lambda: watcher.reasons)
        assert watcher.states[-1] == (WorkerState.ABSENT, "the device is not connected")
        camera.touch()
        await watcher.until(lambda: watcher.states[-1][0] is WorkerState.LIVE)

    with capture_logs() as lines:
        supervised(
            lambda: Watcher("not-present-then-live", first=False, device=str(camera), known=False, stall_s=LIMIT_S), act
        )
    reported = [line["why"] for line in lines if line["event"] == "worker.not_present"]
    assert set(reported) == {"libcamera finds no camera"}


def test_a_known_device_is_absent_where_an_unknown_one_is_not_present() -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until_failures(3)

    watcher = supervised(lambda: Watcher("not-present", first=False), act)
    assert watcher.states == [(WorkerState.ABSENT, "the device is not connected")]


def test_what_is_plugged_in_while_a_worker_fails_is_not_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dev").mkdir()
    _root(tmp_path, monkeypatch)

    async def act(watcher: Watcher) -> None:
        # Between its start, before which the supervisor looks, and its first word.
        await watcher.until(lambda: watcher.pids)
        (tmp_path / "dev/video0").touch()
        await watcher.until(lambda: len(watcher.pids) >= 2)

    supervised(lambda: _patient(Watcher("absent")), act)


def test_devices_do_not_hurry_a_worker_that_fails_for_another_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dev").mkdir()
    _root(tmp_path, monkeypatch)

    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: watcher.reasons)
        (tmp_path / "dev/video0").touch()
        await asyncio.sleep(3 * hotplug.POLL_INTERVAL_S)
        assert len(watcher.pids) == 1

    supervised(lambda: _patient(Watcher("failed")), act)


def test_what_is_odd_about_a_living_source_is_told_and_not_acted_upon() -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: len(watcher.notices) >= 3)

    with capture_logs() as lines:
        watcher = supervised(lambda: Watcher("noticing", stall_s=LIMIT_S), act)
    assert watcher.notices == ["nothing but zeros for 10 s", "", "x" * 200]
    told = [line["what"] for line in lines if line["event"] == "worker.degraded"]
    assert told == ["nothing but zeros for 10 s", "it has recovered", "x" * 200]
    assert watcher.states == [(WorkerState.LIVE, "")]
    assert len(watcher.pids) == 1


def test_nothing_is_odd_about_a_source_that_does_not_live() -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: watcher.pids)

    watcher = supervised(lambda: Watcher("noticing-first", first=False, stall_s=LIMIT_S), act)
    assert watcher.notices == []


def test_every_signal_has_its_words() -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: watcher.pids)
        os.kill(watcher.pids[0], signal.SIGRTMIN + 3)
        await watcher.until(lambda: len(watcher.pids) == 2)

    watcher = supervised(lambda: Watcher("live"), act)
    assert watcher.reasons == [f"it was killed by signal {signal.SIGRTMIN + 3}"]


def test_descriptors_that_run_out_are_survived() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def starved() -> Watcher:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        return Watcher("live")

    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: watcher.reasons)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await watcher.until(lambda: watcher.pids)

    try:
        watcher = supervised(starved, act)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert watcher.reasons == ["it cannot be started: Too many open files"]


@pytest.mark.parametrize("mode", ("live", "hang", "absent"))
def test_a_supervisor_keeps_its_promises_whatever_its_worker_does(mode: str) -> None:
    async def act(watcher: Watcher) -> None:
        for _ in range(20):
            await asyncio.sleep(0.1)
            assert watcher.deadlines.missed(time.monotonic()) == []
            assert watcher.deadlines.missed(time.monotonic() + 121) == ["worker rogue"]

    supervised(lambda: Watcher(mode), act)


class Immortal:
    """A process in uninterruptible sleep, as its pipe and `wait` show it."""

    returncode = None

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.pid = process.pid

    async def wait(self) -> int:
        return await asyncio.Event().wait()


def test_a_worker_that_nothing_kills_is_left_alone_and_said_to_need_a_reboot() -> None:
    async def main() -> tuple[str, float]:
        process = await asyncio.create_subprocess_exec("sleep", "1000")
        stalled = WorkerProcess(name="camera", on_message=lambda _: None)
        chatter = asyncio.create_task(asyncio.Event().wait())
        began = time.monotonic()
        await child._ended(Immortal(process), stalled, chatter, gone=False)  # type: ignore[arg-type]
        took_s = time.monotonic() - began
        await process.wait()
        return stalled.last_words, took_s

    with capture_logs() as lines:
        words, took_s = asyncio.run(main())
    assert "needs a reboot" in words
    assert took_s < 5  # 1 s, on a machine that has nothing else to do
    [line] = [line for line in lines if line["event"] == "worker.unkillable"]
    assert "docs/troubleshooting.md" in line["hint"]


def test_two_workers_never_run_at_once() -> None:
    most = 0

    async def act(watcher: Watcher) -> None:
        nonlocal most
        while len(watcher.pids) < 5:
            most = max(most, len(living_descendants(os.getpid())))
            await asyncio.sleep(0.005)

    supervised(lambda: Watcher("exit"), act)
    assert most == 1


def _patient(watcher: Watcher) -> Watcher:
    """Make it wait for as long as it may, so that only an appearance can hurry it."""
    watcher.supervisor._restarts.base_s = watcher.supervisor._restarts.cap_s = 10 * LIMIT_S
    watcher.supervisor._restarts.uniform = lambda _low, high: high
    watcher.supervisor._restarts.__post_init__()
    return watcher


def _root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the supervisor see the devices of another tree."""
    present, appearance = hotplug.present, hotplug.wait_for_device
    monkeypatch.setattr(hotplug, "present", lambda _root=None: present(root))

    async def appeared(before: frozenset[str], *, within_s: float, on_look: Callable[[], None]) -> bool:
        return await appearance(before, within_s=within_s, root=root, on_look=on_look)

    monkeypatch.setattr(hotplug, "wait_for_device", appeared)


def test_a_new_plan_restarts_the_worker_at_once_without_a_failure() -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: watcher.pids)
        watcher.supervisor.replace_plan(replace(watcher.supervisor.plan, stall_s=5.0))
        watcher.supervisor.restart("a test")
        await watcher.until(lambda: len(watcher.pids) == 2)

    watcher = supervised(lambda: Watcher("live"), act)
    assert [state for state, _ in watcher.states] == [WorkerState.LIVE, WorkerState.STARTING, WorkerState.LIVE]
    assert watcher.failures == []


def test_a_late_unit_of_a_worker_that_is_replaced_says_nothing_about_the_next_one() -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: watcher.media)
        taken = len(watcher.media)
        watcher.supervisor.restart("a test")
        watcher.supervisor._on_message(Received(message=watcher.media[0], request_id=0))
        assert watcher.supervisor.state is WorkerState.STARTING
        assert len(watcher.media) == taken
        await watcher.until(lambda: len(watcher.pids) == 2)

    supervised(lambda: Watcher("live"), act)


def test_a_worker_that_replaces_its_encoder_has_the_time_of_a_first_unit() -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until(lambda: len(watcher.media) == 3)  # the last came later than a stall

    watcher = supervised(lambda: Watcher("replacing-encoder"), act)
    assert watcher.failures == []


def test_a_new_plan_ends_the_wait_after_failures() -> None:
    async def act(watcher: Watcher) -> None:
        watcher.supervisor._restarts._backoff.uniform = lambda _least, _most: 1000.0
        await watcher.until_failures(1)
        plan = replace(watcher.supervisor.plan, job=rogue_job("live"))
        watcher.supervisor.replace_plan(plan)
        watcher.supervisor.restart("a test")
        await watcher.until(lambda: watcher.supervisor.state is WorkerState.LIVE)

    supervised(lambda: Watcher("absent", first=False), act)


def test_what_is_held_runs_no_worker_and_delivers_nothing_until_it_is_released() -> None:
    async def act(watcher: Watcher) -> None:
        supervisor = watcher.supervisor
        await watcher.until(lambda: watcher.pids)
        supervisor.hold()
        taken = len(watcher.media)
        await supervisor.held.paused()
        assert not supervisor.unkillable
        assert living_descendants(os.getpid()) == set()
        supervisor.restart("the configuration changed")
        await asyncio.sleep(0.2)
        assert len(watcher.media) == taken
        assert living_descendants(os.getpid()) == set()
        assert watcher.deadlines.missed(time.monotonic() + 25) == []
        supervisor.release()
        await watcher.until(lambda: len(watcher.pids) == 2)

    with capture_logs() as lines:
        watcher = supervised(lambda: Watcher("live", stall_s=LIMIT_S), act)
    assert [state for state, _ in watcher.states] == [
        WorkerState.LIVE,
        WorkerState.PRIVACY,
        WorkerState.STARTING,
        WorkerState.LIVE,
    ]
    assert watcher.failures == []
    assert [line for line in lines if line["event"] == "worker.restarting"] == []


def test_what_is_held_while_it_waits_for_a_start_starts_nothing() -> None:
    async def act(watcher: Watcher) -> None:
        await watcher.until_failures(1)
        watcher.supervisor.hold()
        await watcher.supervisor.held.paused()
        failed = len(watcher.failures)
        await asyncio.sleep(0.2)
        assert len(watcher.failures) == failed
        assert watcher.states[-1] == (WorkerState.PRIVACY, "")

    supervised(lambda: Watcher("absent", first=False), act)
