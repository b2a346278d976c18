"""The participant's attributes: latest wins, and nothing waits."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from typing import TYPE_CHECKING

import pytest

from device.ipc.worker_state import WorkerState
from device.lifecycle.sd_notify import Notifier
from device.telemetry import state_file
from device.telemetry.attributes import Attributes
from device.telemetry.room_state import PublishState, RoomState
from device.telemetry.state_file import StateFile
from device.telemetry.status import DeviceState, Status

if TYPE_CHECKING:
    from pathlib import Path


def test_names_get_their_prefix_and_a_snapshot_is_a_copy() -> None:
    attributes = Attributes(version="1", state="live")
    snapshot = attributes.snapshot()
    snapshot["device.state"] = "x"
    assert attributes.snapshot() == {"device.version": "1", "device.state": "live"}


def test_what_everybody_reads_is_one_printable_line_without_secrets(tmp_path: Path) -> None:
    text = "a\x1b[31m\u202e\ud800\n rtsp://admin:hunter2@192.0.2.7/s " + 300 * "x"
    public = ("a [31m rtsp://[redacted]@192.0.2.7/s " + 300 * "x")[:200]
    attributes = Attributes(model=text)
    attributes.set(camera=text)
    assert set(attributes.snapshot().values()) == {public}
    status = Status(attributes, Notifier(), StateFile(tmp_path / "state.json"))
    status.worker("camera", WorkerState.STALLED, text)
    status.room(RoomState.WAITING, text)
    status.sending("camera", text)
    for shown in (*attributes.snapshot().values(), (tmp_path / "state.json").read_text()):
        assert "hunter2" not in shown
        assert "\\n" not in shown
        assert "\\u" not in shown


def test_a_stream_with_the_name_of_something_else_has_its_own_attributes(tmp_path: Path) -> None:
    attributes, file = Attributes(), tmp_path / "state.json"
    names = ("room", "state", "clock", "pid")
    labels = {name: f"camera.{name}" for name in names}
    status = Status(attributes, Notifier(), StateFile(file), labels)
    status.room(RoomState.LIVE, "")
    for name in names:
        status.worker(name, WorkerState.LIVE, "")
        status.publication(name, PublishState.PUBLISHED)
        status.sending(name, "640x360 at 15 fps, 300 kbit/s")
    written = json.loads(file.read_text())
    assert (written["room"], written["state"], written["pid"]) == ("live", "live", os.getpid())
    assert all(written[label] == attributes.snapshot()[f"device.{label}"] == "live" for label in labels.values())
    assert attributes.snapshot()["device.state"] == "live"
    assert attributes.snapshot()["device.video.state"].startswith("640x360")


def test_all_at_first_and_the_latest_after_each_change() -> None:
    async def main() -> list[dict[str, str]]:
        attributes = Attributes(state="a")
        changes = attributes.changes()
        seen = [await anext(changes)]
        attributes.set(state="b")
        attributes.set(state="c", camera="live")
        seen.append(await anext(changes))
        waiting = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        attributes.set(state="c")
        await asyncio.sleep(0)
        assert not waiting.done()
        attributes.set(state="d")
        seen.append(await waiting)
        await changes.aclose()  # type: ignore[attr-defined]
        return seen

    assert asyncio.run(main()) == [
        {"device.state": "a"},
        {"device.state": "c", "device.camera": "live"},
        {"device.state": "d", "device.camera": "live"},
    ]


def test_a_change_while_the_last_is_being_written_is_not_lost() -> None:
    async def main() -> dict[str, str]:
        attributes = Attributes(state="a")
        changes = attributes.changes()
        await anext(changes)
        attributes.set(state="b")
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            latest = await anext(changes)
        await changes.aclose()  # type: ignore[attr-defined]
        return latest

    assert asyncio.run(main()) == {"device.state": "b"}


def test_a_new_reader_gets_all_even_if_the_old_one_had_them() -> None:
    async def main() -> None:
        attributes = Attributes(state="a")
        attributes.set(state="b")
        for _ in range(2):
            changes = attributes.changes()
            assert await anext(changes) == {"device.state": "b"}
            await changes.aclose()  # type: ignore[attr-defined]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("room", "workers", "state"),
    (
        (RoomState.WAITING, (WorkerState.LIVE, WorkerState.LIVE), DeviceState.CONNECTING),
        (RoomState.CONNECTING, (WorkerState.LIVE, WorkerState.LIVE), DeviceState.CONNECTING),
        (RoomState.LIVE, (WorkerState.LIVE, WorkerState.LIVE), DeviceState.LIVE),
        (RoomState.LIVE, (WorkerState.LIVE, WorkerState.STARTING), DeviceState.STARTING),
        (RoomState.LIVE, (WorkerState.STALLED, WorkerState.LIVE), DeviceState.RECOVERING),
        (RoomState.LIVE, (WorkerState.ABSENT, WorkerState.LIVE), DeviceState.RECOVERING),
        (RoomState.LIVE, (WorkerState.ABSENT, WorkerState.STARTING), DeviceState.RECOVERING),
        (RoomState.LIVE, (WorkerState.STARTING, WorkerState.STALLED), DeviceState.RECOVERING),
        (RoomState.WAITING, (WorkerState.ABSENT, WorkerState.ABSENT), DeviceState.CONNECTING),
        (RoomState.FORBIDDEN, (WorkerState.LIVE, WorkerState.LIVE), DeviceState.FORBIDDEN),
        (RoomState.FORBIDDEN, (WorkerState.STALLED, WorkerState.ABSENT), DeviceState.FORBIDDEN),
    ),
)
def test_the_state_is_made_of_room_and_workers(
    room: RoomState, workers: tuple[WorkerState, WorkerState], state: DeviceState
) -> None:
    attributes = Attributes(state="connecting")
    status = Status(attributes, Notifier(), StateFile(None))
    for name in ("camera", "microphone"):
        status.worker(name, WorkerState.STARTING, "")
    for name, worker in zip(("camera", "microphone"), workers, strict=True):
        status.worker(name, worker, "why " * 100 if worker in (WorkerState.STALLED, WorkerState.ABSENT) else "")
    status.room(room, "")
    values = attributes.snapshot()
    assert values["device.state"] == state.value
    assert values["device.camera"].startswith(workers[0].value)
    assert len(values["device.camera"]) <= 200


def test_what_is_odd_about_a_living_source_is_said_and_the_device_lives() -> None:
    attributes = Attributes(state="connecting")
    status = Status(attributes, Notifier(), StateFile(None))
    for name in ("camera", "microphone"):
        status.worker(name, WorkerState.STARTING, "")
    status.room(RoomState.LIVE, "")
    status.worker("microphone", WorkerState.LIVE, "nothing but zeros for 10 s")
    assert attributes.snapshot() == {
        "device.state": "starting",
        "device.camera": "starting",
        "device.microphone": "live: nothing but zeros for 10 s",
    }
    status.worker("camera", WorkerState.LIVE, "")
    assert attributes.snapshot()["device.state"] == "live"
    status.worker("camera", WorkerState.ABSENT, "no camera is plugged in")
    assert attributes.snapshot() == {
        "device.state": "recovering",
        "device.camera": "absent: no camera is plugged in",
        "device.microphone": "live: nothing but zeros for 10 s",
    }
    status.worker("microphone", WorkerState.LIVE, "")
    assert attributes.snapshot()["device.microphone"] == "live"


def test_a_device_that_may_not_publish_says_so(tmp_path: Path) -> None:
    attributes, file = Attributes(state="connecting"), tmp_path / "state.json"
    status = Status(attributes, Notifier(), StateFile(file))
    status.worker("camera", WorkerState.STARTING, "")
    status.worker("camera", WorkerState.LIVE, "")
    status.room(RoomState.FORBIDDEN, "the right to publish was taken away")
    assert attributes.snapshot()["device.state"] == "forbidden"
    assert state_file.read(file)["room"] == "forbidden: the right to publish was taken away"
    status.room(RoomState.LIVE, "")
    assert attributes.snapshot()["device.state"] == "live"
    assert state_file.read(file)["room"] == "live"


def test_last_words_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    """JSON can say half a character; a worker that does must not end the daemon."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        status = Status(Attributes(), Notifier(address=str(tmp_path / "notify")), StateFile(tmp_path / "state.json"))
        status.worker("camera", WorkerState.STALLED, "no film in \ud800")
        assert b"STATUS=" in manager.recv(4096)


@pytest.mark.parametrize(
    ("room", "worker", "publication", "works"),
    (
        (RoomState.LIVE, WorkerState.LIVE, PublishState.PUBLISHED, True),
        (RoomState.LIVE, WorkerState.LIVE, PublishState.MUTED, True),
        (RoomState.LIVE, WorkerState.NOT_PRESENT, PublishState.PUBLISHED, True),
        (RoomState.LIVE, WorkerState.STARTING, PublishState.MUTED, False),
        (RoomState.LIVE, WorkerState.STALLED, PublishState.MUTED, False),
        (RoomState.LIVE, WorkerState.LIVE, PublishState.FAILED, False),
        (RoomState.LIVE, WorkerState.LIVE, PublishState.STARTING, False),
        (RoomState.WAITING, WorkerState.LIVE, PublishState.PUBLISHED, False),
    ),
)
def test_what_the_room_has_muted_works(
    room: RoomState, worker: WorkerState, publication: PublishState, *, works: bool
) -> None:
    status = Status(Attributes(), Notifier(), StateFile(None))
    status.room(room, "")
    status.worker("camera", worker, "")
    status.publication("camera", publication)
    assert status.works is works
