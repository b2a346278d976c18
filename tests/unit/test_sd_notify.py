"""Notifications for systemd and the state file for `check`, with a real socket and a real file."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from device.ipc.worker_state import WorkerState
from device.lifecycle.deadlines import Deadlines
from device.lifecycle.sd_notify import Notifier
from device.telemetry import state_file
from device.telemetry.attributes import Attributes
from device.telemetry.room_state import RoomState
from device.telemetry.state_file import StateFile
from device.telemetry.status import Status

if TYPE_CHECKING:
    from pathlib import Path


@contextlib.contextmanager
def _manager(path: Path):  # type: ignore[no-untyped-def]  # noqa: ANN202
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        listening.settimeout(5)
        yield listening


def test_ready_status_and_watchdog_are_sent(tmp_path: Path) -> None:
    with _manager(tmp_path / "notify") as manager:
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000"}
        notifier = Notifier.of_environment(environment)
        notifier.ready()
        notifier.status("room live;\ncamera live")
        notifier.status("room live;\ncamera live")
        notifier.stopping()
        assert [manager.recv(99) for _ in range(3)] == [b"READY=1", b"STATUS=room live; camera live", b"STOPPING=1"]

        async def ping() -> None:
            task = asyncio.create_task(notifier.keep_alive(Deadlines()))
            pings = [await asyncio.to_thread(manager.recv, 99) for _ in range(3)]
            task.cancel()
            assert pings == [b"WATCHDOG=1"] * 3

        asyncio.run(ping())


def test_a_part_that_hangs_is_logged_once_and_the_watchdog_pings_stop(tmp_path: Path) -> None:
    with _manager(tmp_path / "notify") as manager:
        deadlines = Deadlines()
        notifier = Notifier(address=str(tmp_path / "notify"), watchdog_s=0.06)

        async def hang_and_go_on() -> None:
            deadlines.extend("room", now=time.monotonic(), within_s=100)
            deadlines.extend("camera", now=time.monotonic() - 10, within_s=5)
            task = asyncio.create_task(notifier.keep_alive(deadlines))
            await asyncio.sleep(0.5)
            manager.settimeout(0)
            with pytest.raises(BlockingIOError):
                manager.recv(99)
            deadlines.extend("camera", now=time.monotonic(), within_s=100)
            manager.settimeout(5)
            assert [await asyncio.to_thread(manager.recv, 99) for _ in range(2)] == [b"WATCHDOG=1"] * 2
            deadlines.extend("camera", now=time.monotonic() - 10, within_s=5)
            await asyncio.sleep(0.3)
            task.cancel()

        with capture_logs() as lines:
            asyncio.run(hang_and_go_on())
    told = [(line["log_level"], line["parts"]) for line in lines if line["event"] == "daemon.hangs"]
    assert told == [("critical", ["camera"])] * 2


def test_a_part_that_hangs_is_logged_once_with_or_without_a_watchdog(tmp_path: Path) -> None:
    deadlines = Deadlines()
    deadlines.extend("camera", now=time.monotonic() - 10, within_s=5)

    async def look(notifier: Notifier) -> None:
        task = asyncio.create_task(notifier.keep_alive(deadlines))
        await asyncio.sleep(0)
        task.cancel()

    watched = Notifier(address=str(tmp_path / "notify"), watchdog_s=30.0)
    # Without a watchdog `device.lifecycle.enforcer` logs it and ends the process.
    for notifier, expected in ((watched, ["daemon.hangs"]), (Notifier(), [])):
        with capture_logs() as lines:
            asyncio.run(look(notifier))
        assert [line["event"] for line in lines] == expected


def test_a_blocked_loop_sends_no_watchdog_ping(tmp_path: Path) -> None:
    with _manager(tmp_path / "notify") as manager:
        notifier = Notifier(address=str(tmp_path / "notify"), watchdog_s=0.06)

        async def block() -> None:
            task = asyncio.create_task(notifier.keep_alive(Deadlines()))
            await asyncio.sleep(0)
            assert manager.recv(99) == b"WATCHDOG=1"
            time.sleep(0.5)  # on purpose  # noqa: ASYNC251
            manager.settimeout(0)
            with pytest.raises(BlockingIOError):
                manager.recv(99)
            task.cancel()

        asyncio.run(block())


def test_an_abstract_socket() -> None:
    name = f"livekit-device-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.settimeout(5)
        Notifier(address=f"@{name}").ready()
        assert manager.recv(99) == b"READY=1"


def test_without_a_listener_nothing_happens(tmp_path: Path) -> None:
    Notifier().ready()
    Notifier(address=str(tmp_path / "nobody")).status("x")


def test_the_watchdog_of_another_process_is_ignored() -> None:
    assert Notifier.of_environment({"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"})._watchdog_s == 0


def test_the_status_line_describes_the_state(tmp_path: Path) -> None:
    with _manager(tmp_path / "notify") as manager:
        attributes = Attributes()
        file = StateFile(tmp_path / "state.json")
        status = Status(attributes, Notifier(address=str(tmp_path / "notify")), file)
        status.worker("camera", WorkerState.STARTING, "")
        status.room(RoomState.LIVE, "")
        assert attributes.snapshot()["device.state"] == "starting"
        status.worker("camera", WorkerState.LIVE, "")
        assert attributes.snapshot()["device.state"] == "live"
        status.worker("camera", WorkerState.STALLED, "no picture for 5 s")
        assert attributes.snapshot() == {"device.state": "recovering", "device.camera": "stalled: no picture for 5 s"}
        told = [manager.recv(999).decode() for _ in range(4)]
        assert told[-1] == "STATUS=room live; camera stalled: no picture for 5 s"
        assert state_file.read(tmp_path / "state.json") == {
            "pid": os.getpid(),
            "state": "recovering",
            "room": "live",
            "camera": "stalled: no picture for 5 s",
        }
        status.room(RoomState.WAITING, "no server")
        assert attributes.snapshot()["device.state"] == "connecting"


def test_a_state_file_of_an_ended_service_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    assert state_file.read(path) == {}
    for text in (
        "",
        "[]",
        "{}",
        "nonsense",
        "[" * 10_000,
        json.dumps({"pid": True}),
        json.dumps({"pid": -1}),
        json.dumps([{"pid": os.getpid()}]),
        json.dumps({"pid": 2**22 + 1, "camera": "live"}),
        json.dumps({"pid": "x"}),
    ):
        path.write_text(text)
        assert state_file.read(path) == {}


def test_an_unreadable_state_file_is_ignored(tmp_path: Path) -> None:
    """Run as nobody, because root may read everything."""
    path = tmp_path / "state.json"
    path.write_text(json.dumps({"pid": os.getpid()}))
    path.chmod(0o600)
    script = (
        "from pathlib import Path; from device.telemetry import state_file; "
        f"print(state_file.read(Path({str(path)!r})))"
    )
    done = (
        subprocess.run(
            [sys.executable, "-c", f"import device.telemetry.state_file, os; os.setuid(65534); {script}"],
            capture_output=True,
            text=True,
            check=False,
        )
        if os.geteuid() == 0
        else None
    )
    if done is not None:
        assert (done.stdout.strip(), done.stderr) == ("{}", "")
    assert state_file.read(tmp_path) == {}  # a folder


def test_a_state_file_is_ignored_if_its_process_id_has_another_owner(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    StateFile(path).write({"state": "live"})
    assert state_file.read(path) == {"pid": os.getpid(), "state": "live"}
    state = json.loads(path.read_text())
    path.write_text(json.dumps(state | {"started": state["started"] - 1}))
    assert state_file.read(path) == {}


def test_something_other_than_a_state_file_is_ignored_at_once(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    os.mkfifo(path)
    assert state_file.read(path) == {}
    path.unlink()
    path.write_text(json.dumps({"pid": os.getpid(), "camera": "live\x1b[2J\n" + "x" * 9999, "room": ["live"]}))
    found = state_file.read(path)
    assert found["camera"].startswith("live?[2J?x")
    assert len(found["camera"]) == 500
    assert "room" not in found
    for pid in (0, 1, 10**30, None, float("inf")):
        path.write_text(json.dumps({"pid": pid}))
        assert state_file.read(path) == {}


def test_without_a_runtime_directory_there_is_no_file(tmp_path: Path) -> None:
    StateFile.of_environment({}).write({"state": "live"})
    file = StateFile.of_environment({"RUNTIME_DIRECTORY": str(tmp_path)})
    file.write({"state": "live"})
    assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o644
    file.remove()
    assert not list(tmp_path.iterdir())
