"""`make soak`: events that a device meets over months, one after the other. SOAK_TIMES bounds how often (for a try)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from livekit import api

from tests.faults.device import SILENT, Device, device
from tests.faults.footprint import Footprint
from tests.faults.plateau import Course
from tests.faults.plug import NODES, Plug, with_own_dev
from tests.faults.recovery import first_picture, until_logged
from tests.faults.rejoins import QUICK, reconnect
from tests.faults.rogue import Rogue, rogue
from tests.faults.servers import node
from tests.faults.worker_outage import CAMERA

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from pathlib import Path

    from tests.faults.ground import Ground

    Strike = Callable[[Device, Rogue, int], Awaitable[None]]

_MOST = int(os.environ.get("SOAK_TIMES", "1000"))
_REJOINS, _DELETIONS, _LEAVES, _PUBLICATIONS, _PLUGS = (min(_MOST, times) for times in (1000, 200, 200, 200, 300))
_WITHIN_S = 30.0  # each event
# What a rejoin may leave behind: the project's limit for 200 of them. A worker's restart is no business of the SDK.
_SLOPE_KB, _PLUG_KB = 20.0, 10.0
# Above a plateau: what the C library keeps between two trims, and two pictures.
_HIGHER_KB = 10 << 10
# The threads of ended Rooms live for some seconds, 20 to 23 each, with as many descriptors: one Room more or less is no
# growth. One thread that stays for each second event is, after a quarter of 200.
_ROOM, _WORKER = 24.0, 1.0
_ENOUGH = 100  # fewer warm up
# The real growth shows only without executions that end it.
_NO_LIMIT = {"DEVICE_WATCH__MEMORY_MB": "0", "DEVICE_RECONNECT__MAX_S": "1"}
_EACH_S = 5  # of a row's limit; they take 1 to 3 s


def _record(ground: Ground, name: str, course: Course, *, slope_kb: float, grown: float = _ROOM) -> None:
    found = course.slope_kb()
    ground.table.record(
        f"{len(course.samples)} times: {name}",
        {
            "times": len(course.samples),
            "idle": f"{ground.meter.percent():.0f} %",
            "events seen": f"RSS {found:+.1f} KB each, threads {course.more_threads():+g}, descriptors "
            f"{course.more_descriptors():+g} in the second half; {course.text()}",
        },
        must=f"in the second half: RSS <= {slope_kb:g} KB each, threads and descriptors +{grown:g} at most",
        ok=found <= slope_kb and course.more_threads() <= grown and course.more_descriptors() <= grown,
        excuse=_too_few(course),
    )


def _too_few(course: Course) -> str:
    return f"only {len(course.samples)} times" if len(course.samples) < _ENOUGH else ""


async def _repeat(one: Device, inside: Rogue, strike: Strike, times: int) -> Course:
    course = Course()
    for number in range(times):
        await strike(one, inside, number)
        course.samples.append(Footprint.of(one.daemon.pid))
    return course


async def _in_a_room(ground: Ground, folder: Path, order: str, strike: Strike, times: int) -> Course:
    """Repeat an event of a device that has got an order."""
    with rogue() as inside:
        async with device(ground.network, [ground.server], folder, **(SILENT | QUICK | _NO_LIMIT)) as one:
            inside.possess(one)
            one.start()
            await first_picture(one)
            inside.tell(one.daemon.pid, order)
            return await _repeat(one, inside, strike, times)


async def _live_again(one: Device, mark: tuple[int, int]) -> None:
    assert await until_logged(one, mark, "room.state", within_s=_WITHIN_S, new="live"), one.daemon.text[-10:]


@pytest.mark.timeout(_REJOINS * _EACH_S + 120)
def test_rejoins(ground: Ground, tmp_path: Path) -> None:
    """With the limit of memory that a device has by default: the plateau is a sawtooth."""

    async def scenario() -> tuple[Course, int]:
        with node(7950) as server:
            async with device(ground.network, [server], tmp_path, **(SILENT | QUICK)) as one:
                one.start()
                await first_picture(one)
                course = Course()
                for _ in range(_REJOINS):
                    await reconnect(server, one, 1, spacing_s=1.0)
                    course.samples.append(Footprint.of(one.daemon.pid))
                assert len(one.daemons) == 1
                return course, len(one.since((0, 0), "daemon.executed_again"))

    course, executions = ground.run(scenario())
    ground.table.record(
        f"{_REJOINS} rejoins after the server was restarted, `watch.memory_mb` as by default",
        {
            "times": _REJOINS,
            "idle": f"{ground.meter.percent():.0f} %",
            "events seen": f"the highest RSS {course.higher_kb() / 1024:+.1f} MB in the second half, threads "
            f"{course.more_threads():+g}, descriptors {course.more_descriptors():+g}; executed again {executions} "
            f"times; {course.text()}",
        },
        must=f"the highest RSS of the second half <= that of the first + {_HIGHER_KB >> 10} MB; threads and "
        f"descriptors +{_ROOM:g} at most",
        ok=course.higher_kb() <= _HIGHER_KB and course.more_threads() <= _ROOM and course.more_descriptors() <= _ROOM,
        excuse=_too_few(course),
    )


@pytest.mark.timeout(_DELETIONS * _EACH_S + 120)
def test_room_deleted(ground: Ground, tmp_path: Path) -> None:
    async def delete(one: Device, _inside: Rogue, _number: int) -> None:
        mark, server = one.mark(), ground.server
        async with api.LiveKitAPI(server.url, server.api_key, server.api_secret) as operator:
            await operator.room.delete_room(api.DeleteRoomRequest(room=one.room))
        assert await until_logged(one, mark, "room.left", reason="ROOM_DELETED")
        await _live_again(one, mark)

    course = ground.run(_in_a_room(ground, tmp_path, "impatient", delete, _DELETIONS))
    _record(ground, "room deleted, and joined again after 0.2 s instead of a minute", course, slope_kb=_SLOPE_KB)


@pytest.mark.timeout(_LEAVES * _EACH_S + 120)
def test_leave_times_out(ground: Ground, tmp_path: Path) -> None:
    async def rejoin(one: Device, inside: Rogue, _number: int) -> None:
        mark = one.mark()
        inside.tell(one.daemon.pid, "rejoin")
        assert await until_logged(one, mark, "room.leave_timed_out"), one.daemon.text[-10:]
        await _live_again(one, mark)

    course = ground.run(_in_a_room(ground, tmp_path, "leave late", rejoin, _LEAVES))
    _record(ground, "a leave that the SDK answers too late", course, slope_kb=_SLOPE_KB)


@pytest.mark.timeout(_PUBLICATIONS * _EACH_S + 120)
def test_publish_fails(ground: Ground, tmp_path: Path) -> None:
    async def fail(one: Device, inside: Rogue, number: int) -> None:
        mark = one.mark()
        if number == 0:
            inside.tell(one.daemon.pid, "rejoin")
        assert await until_logged(one, mark, "track.publish_failed", within_s=_WITHIN_S), one.daemon.text[-10:]
        if number == _PUBLICATIONS - 1:
            inside.tell(one.daemon.pid, "accept")
            await _live_again(one, mark)

    course = ground.run(_in_a_room(ground, tmp_path, "refuse", fail, _PUBLICATIONS))
    _record(ground, "a publication that fails, and the join with it; live after the last", course, slope_kb=_SLOPE_KB)


@pytest.mark.timeout(_PLUGS * _EACH_S + 120)
def test_camera_replugged(ground: Ground, tmp_path: Path) -> None:
    async def replug(one: Device, inside: Rogue, number: int) -> None:
        plug, mark = Plug(one=one, inside=inside, worker=CAMERA), one.mark()
        inside.tell(one.daemon.pid, "forgive")
        await plug.pull()
        assert await until_logged(one, mark, "worker.state", worker=CAMERA, new="absent"), one.daemon.text[-10:]
        mark = one.mark()
        plug.put(NODES[CAMERA][number % 2])
        assert await until_logged(one, mark, "worker.state", worker=CAMERA, new="live"), one.daemon.text[-10:]

    async def scenario() -> Course:
        variables = {"DEVICE_LOG__LEVEL": "debug", "DEVICE_WATCH__MEMORY_MB": "0"}
        wrapper = with_own_dev(tmp_path / "dev")
        with rogue() as inside:
            async with device(ground.network, [ground.server], tmp_path, wrapper=wrapper, **variables) as one:
                inside.possess(one)
                one.start()
                await first_picture(one)
                return await _repeat(one, inside, replug, _PLUGS)

    scene: Coroutine[None, None, Course] = scenario()
    _record(
        ground, "camera taken away, and back under another number", ground.run(scene), slope_kb=_PLUG_KB, grown=_WORKER
    )
