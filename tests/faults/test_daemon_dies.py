"""The death of the daemon, in each way: no worker and no old participant remain, and the picture returns soon."""

from __future__ import annotations

import asyncio
import datetime
import os
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from livekit import api

from tests.faults.figures import Figures
from tests.faults.moments import Moment
from tests.faults.plan import as_often
from tests.faults.recovery import picture_after
from tests.faults.rogue import possessed
from tests.faults.worker_outage import CAMERA, ready
from tests.support.children import alive, living_descendants

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.device import Device
    from tests.faults.ground import Ground
    from tests.faults.rogue import Rogue

_TIMES = as_often(3, short=2)
_END_S, _ORPHAN_S, _VIDEO_S = 8.0, 1.0, 3.0
_RESTART_S = 1.0  # RestartSec= of the unit
_POLL_S = 0.005
_DEVICE, _TRACKS = "device", 2
_INTERNAL = 70  # sysexits.h


@dataclass(frozen=True, slots=True)
class _End:
    name: str
    strike: Callable[[Rogue, int], None]
    code: int
    logged: str = ""


@dataclass(slots=True)
class _Seen:
    video: Figures = field(default_factory=Figures)
    orphans: Figures = field(default_factory=Figures)  # how long the last worker outlived its daemon
    codes: Counter[int | None] = field(default_factory=Counter)
    ghosts: list[str] = field(default_factory=list)
    slowest: str = ""
    unlogged: int = 0
    left: int = 0


def _order(order: str) -> Callable[[Rogue, int], None]:
    return lambda inside, pid: inside.tell(pid, order)


_ENDS = (
    _End("SIGKILL", lambda _, pid: os.kill(pid, signal.SIGKILL), -signal.SIGKILL),
    _End("SIGSEGV", _order("segv"), -signal.SIGSEGV),
    _End("SIGTERM to itself, as a native panic does", _order("term"), _INTERNAL, "daemon.failed"),
    _End("exit 0 from inside", _order("exit"), 0),
)


@pytest.mark.usefixtures("quiet")
@pytest.mark.timeout(300)
def test_daemon_dies(ground: Ground, tmp_path: Path) -> None:
    async def scenario() -> dict[str, _Seen]:
        seen = {end.name: _Seen() for end in _ENDS}
        async with possessed(ground, tmp_path) as (one, inside):
            for end in _ENDS * _TIMES:
                await _run_fault(ground, one, inside, end, seen[end.name])
        return seen

    seen = ground.run(scenario())
    idle = f"{ground.meter.percent():.0f} %"
    wrong = []
    for end in _ENDS:
        try:
            _record(ground, end, seen[end.name], idle)
        except AssertionError as error:  # record the other rows too
            wrong.append(str(error))
    assert not wrong, "\n".join(wrong)


async def _run_fault(ground: Ground, one: Device, inside: Rogue, end: _End, seen: _Seen) -> None:
    await ready(one)
    pid, mark = one.daemon.pid, one.mark()
    workers = living_descendants(pid)
    assert len(workers) == _TRACKS, workers
    end.strike(inside, pid)
    ended_at = await _until(lambda: one.daemon.process.poll() is not None, within_s=_END_S)
    seen.codes[one.daemon.process.returncode] += 1
    seen.orphans.seconds.append(await _until(lambda: not any(map(alive, workers)), within_s=_END_S) - ended_at)
    one.end()
    seen.unlogged += bool(end.logged and not one.since(mark, end.logged))
    await asyncio.sleep(max(0.0, ended_at + _RESTART_S - time.monotonic()))
    one.start()
    moment = Moment(at=one.started_at, epoch_us=Moment.now().epoch_us)
    video_s = await picture_after(one, moment, within_s=30)
    await ready(one)
    if video_s > seen.video.worst or not seen.video.seconds:
        seen.slowest = _stages(one, moment)
    seen.video.seconds.append(video_s)
    seen.left += len(one.since((len(one.daemons), 0), "room.left"))
    seen.ghosts += await _ghosts(ground, one)


def _stages(one: Device, moment: Moment) -> str:
    """Return the progress of the new daemon some time after its start."""
    stages: tuple[tuple[str, str, dict[str, object]], ...] = (
        ("began", "daemon.starting", {}),
        ("in the room", "room.state", {"new": "live"}),
        ("camera live", "worker.state", {"worker": CAMERA, "new": "live"}),
    )
    events = []
    for name, event, fields in stages:
        for line in one.since((len(one.daemons), 0), event, **fields)[:1]:
            after_s = datetime.datetime.fromisoformat(line["time"]).timestamp() - moment.epoch_us / 1e6
            events.append(f"{name} {after_s:.2f}")
    return ", ".join(events)


async def _until(holds: Callable[[], bool], *, within_s: float) -> float:
    """Wait until a condition holds; return that time, or the time of giving up."""
    give_up_at = time.monotonic() + within_s
    while time.monotonic() < give_up_at:
        if holds():
            break
        await asyncio.sleep(_POLL_S)
    return time.monotonic()


async def _ghosts(ground: Ground, one: Device) -> list[str]:
    """Return the server's state of the device, except for one participant with two tracks."""
    server = ground.server
    async with api.LiveKitAPI(server.url, server.api_key, server.api_secret) as operator:
        listed = await operator.room.list_participants(api.ListParticipantsRequest(room=one.room))
    found = [f"{who.identity} with {len(who.tracks)} tracks" for who in listed.participants if who.tracks]
    return [] if found == [f"{_DEVICE} with {_TRACKS} tracks"] else found or ["nobody"]


def _record(ground: Ground, end: _End, seen: _Seen, idle: str) -> None:
    codes = ", ".join(f"{code} {count}" for code, count in seen.codes.items())
    ground.table.record(
        f"daemon: {end.name}; started again after {_RESTART_S:.0f} s (since the new process began)",
        {
            "times": len(seen.video.seconds),
            "video again": seen.video,
            "idle": idle,
            "events seen": f"exit {codes}; last worker gone after {seen.orphans}; ghosts: {seen.ghosts or 'none'}; "
            f"evicted {seen.left}; the slowest: {seen.slowest}"
            + (f"; MISSING {end.logged} {seen.unlogged}" if seen.unlogged else ""),
        },
        must=f"exit {end.code}; no worker {_ORPHAN_S:.0f} s later; one participant, two tracks, never evicted; "
        f"video <= {_VIDEO_S:.0f} s",
        ok=set(seen.codes) == {end.code}
        and seen.orphans.worst <= _ORPHAN_S
        and not seen.ghosts
        and not seen.left
        and not seen.unlogged
        and seen.video.worst <= _VIDEO_S,
    )
