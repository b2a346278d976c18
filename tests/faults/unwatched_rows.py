"""The rows about devices that nobody watches: short ones in `make faults`, of ten minutes each in `make soak`."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING

from tests.faults.figures import Figures, as_text, counted
from tests.faults.footprint import Footprint
from tests.faults.ground import BUSY_PERCENT
from tests.faults.recovery import until_logged
from tests.faults.unwatched import (
    LEFT_S,
    NOTICED_S,
    PAUSE,
    SLEEP,
    Taken,
    Visits,
    changes,
    killed_later,
    leave_in_turn,
    toggle,
    until_idle,
    unwatched,
)
from tests.faults.worker_outage import CAMERA, pid_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.device import Device
    from tests.faults.ground import Ground

_SETTLES_S = 2.0
_QUIET_KBPS = 20.0
_GAP_S, _ROOM_S, _DEAD_S = 1.0, 8.0, 6.0
_MORE_KB = 6 << 10
_AWAY_S = 2.0


def _record(ground: Ground, what: str, *, seen: str, must: str, ok: bool, **cells: object) -> None:
    idle = ground.meter.percent()
    row = {"idle": f"{idle:.0f} %", "events seen": seen} | {
        name.replace("_", " "): cell for name, cell in cells.items()
    }
    ground.table.record(what, row, must=must, ok=ok, excuse=f"{idle:.0f} % idle" if idle < BUSY_PERCENT else "")


async def nobody_watches(ground: Ground, folder: Path, *, each_s: float) -> None:
    """Measure a device that is paused, then asleep, beside one that sends all the time."""
    async with (
        unwatched(ground, folder / "send", "send", neighbour=True) as sending,
        unwatched(ground, folder / "sleep", SLEEP, sleep_after_s=each_s + 2 * _SETTLES_S) as one,
    ):
        mark = one.mark()
        await until_idle(one, (1, 0), PAUSE, within_s=LEFT_S)
        await asyncio.sleep(_SETTLES_S)
        send, paused = Taken.by(ground, sending), Taken.by(ground, one)
        await asyncio.sleep(each_s)
        while_paused = Taken.by(ground, one).since(paused)
        await until_idle(one, mark, SLEEP, within_s=each_s + LEFT_S)
        await asyncio.sleep(_SETTLES_S)
        asleep = Taken.by(ground, one)
        await asyncio.sleep(each_s)
        while_asleep, while_sending = Taken.by(ground, one).since(asleep), Taken.by(ground, sending).since(send)
        after = {"paused": while_paused, "asleep": while_asleep}
        _record(
            ground,
            f"nobody watches for {each_s:.0f} s, `send`, `pause` and `sleep` (320x180 at 15 a second, and sound)",
            times=1,
            seen="; ".join(f"{name}: {rates}" for name, rates in {"send": while_sending, **after}.items()),
            must=f"paused and asleep <= {_QUIET_KBPS:g} kbit/s, and less of everything than while it sends",
            ok=all(
                rates.sent_kbps <= _QUIET_KBPS
                and rates.processor_percent < while_sending.processor_percent
                and rates.switches < while_sending.switches
                for rates in after.values()
            ),
        )


async def a_viewer_now_and_then(
    ground: Ground, folder: Path, mode: str, *, times: int, every_s: float, within_s: float
) -> None:
    """Measure what each of some viewers waits for, with a pause or a sleep before each."""
    visits = Visits()
    async with unwatched(ground, folder / mode, mode) as one:
        await until_idle(one, (1, 0), mode, within_s=LEFT_S)
        mark, opened = one.mark(), len(one.since((1, 0), "worker.spawned", worker=CAMERA))
        for number in range(times):
            began, before = time.monotonic(), one.mark()
            await visits.visit(ground.server, one, f"visitor-{number}")
            await until_idle(one, before, mode, within_s=LEFT_S)
            await asyncio.sleep(began + every_s - time.monotonic())
        opened = len(one.since((1, 0), "worker.spawned", worker=CAMERA)) - opened
        expected = {PAUSE: 0, SLEEP: times}[mode]
        done = Counter(changes(one, mark))
        _record(
            ground,
            f"`{mode}`: a viewer who stays for a second, {times} times (from the subscription to the first picture of "
            "the camera)",
            times=times,
            slate_after=visits.first if mode == SLEEP else "",
            video_again=visits.live,
            seen=f"from the viewer's join {visits.joined}; the camera {counted(done.items())}; opened {opened} times",
            must=f"p95 <= {within_s:g} s; the camera sends once for each, and is opened {expected} times",
            ok=visits.live.p(95) <= within_s and done["sending"] == times and opened == expected,
        )


async def subscription_toggled(ground: Ground, folder: Path, *, times: int, every_s: float) -> None:
    """Toggle a subscription fast: nothing grows.

    The server says that nobody watches 5 s after a track was unsubscribed, also if it is subscribed to again.
    """
    async with unwatched(ground, folder / "toggled", SLEEP) as one:
        mark = one.mark()
        await toggle(ground.server, one, times=10, every_s=every_s)
        before = Footprint.of(one.daemon.pid)
        await toggle(ground.server, one, times=times, every_s=every_s)
        after, done = Footprint.of(one.daemon.pid), changes(one, mark)
        idle_s = await until_idle(one, one.mark(), SLEEP, within_s=LEFT_S)
        opened = len(one.since((1, 0), "worker.spawned", worker=CAMERA))
        _record(
            ground,
            f"`sleep`: a subscription toggled {times} times in {times * every_s:.0f} s",
            times=times,
            seen=f"{before}, then {after}; paused {done.count('paused')} times, asleep {idle_s:.1f} s after the end; "
            f"the camera was opened {opened} times",
            must=f"RSS +{_MORE_KB >> 10} MB, threads and descriptors +4 at most; paused each 10 s at most; opened once",
            ok=after.rss_kb <= before.rss_kb + _MORE_KB
            and after.threads <= before.threads + 4
            and after.descriptors <= before.descriptors + 4
            and done.count("paused") <= 1 + (10 + times) * every_s / 10
            and "asleep" not in done
            and opened == 1,
        )


async def viewers_leave(ground: Ground, folder: Path) -> None:
    """Let viewers leave in turn, then kill one."""
    async with unwatched(ground, folder / "left", PAUSE) as one:
        mark = one.mark()
        gap_s = await leave_in_turn(ground.server, one, viewers=3, every_s=_SETTLES_S)
        done, mark = changes(one, mark), one.mark()
        left_s = await until_idle(one, mark, PAUSE, within_s=LEFT_S)
        mark = one.mark()
        async with killed_later(ground.server, one) as viewer:
            viewer.kill()
            noticed_s = await until_idle(one, mark, PAUSE, within_s=NOTICED_S)
        _record(
            ground,
            "`pause`: 3 viewers leave in turn; then a viewer is killed",
            times=1,
            longest_gap=as_text(gap_s),
            seen=f"paused {left_s:.1f} s after the last one, {noticed_s:.1f} s after the one that was killed; "
            f"changes before the last one left: {', '.join(done) or 'none'}",
            must=f"the others' picture without a gap over {_GAP_S:g} s, no pause before the last one has left; "
            f"paused <= {LEFT_S:g} s later, <= {NOTICED_S:g} s after the kill",
            ok=gap_s <= _GAP_S and "paused" not in done,
        )


async def faults(ground: Ground, folder: Path, *, times: int, first_s: float, opens_s: float) -> None:
    """Let a worker, the server and the connection fail while one device is paused and another one asleep."""
    async with (
        unwatched(ground, folder / "paused", PAUSE) as paused,
        unwatched(ground, folder / "asleep", SLEEP) as slept,
    ):
        both = {PAUSE: paused, SLEEP: slept}
        for number in range(times):
            await _idle(both)
            await _worker_killed(ground, paused, number, first_s=first_s)
            await _idle(both)
            await _server_restarted(ground, both, number, opens_s=opens_s)
            await _idle(both)
            await _connection_dead(ground, both, number, opens_s=opens_s)


async def _idle(both: dict[str, Device]) -> None:
    """Wait until both are paused or asleep, which they may be already."""

    async def one(mode: str, device: Device) -> None:
        if changes(device, (1, 0))[-1:] != [{PAUSE: "paused", SLEEP: "asleep"}[mode]]:
            await until_idle(device, device.mark(), mode, within_s=NOTICED_S)

    await asyncio.gather(*(one(*each) for each in both.items()))
    await asyncio.sleep(_SETTLES_S)


async def _watch(ground: Ground, both: dict[str, Device], name: str) -> dict[str, Visits]:
    visits = {mode: Visits() for mode in both}
    await asyncio.gather(*(visits[mode].visit(ground.server, one, f"{name}-{mode}") for mode, one in both.items()))
    return visits


async def _worker_killed(ground: Ground, one: Device, number: int, *, first_s: float) -> None:
    mark = one.mark()
    os.kill(await pid_of(one, CAMERA), signal.SIGKILL)
    again = await until_logged(one, mark, "worker.state", worker=CAMERA, new="live")
    await asyncio.sleep(_SETTLES_S)
    done = changes(one, mark)
    visits = await _watch(ground, {PAUSE: one}, f"after-worker-{number}")
    live = visits[PAUSE].live
    _record(
        ground,
        "`pause`: the worker is killed meanwhile; then a viewer (from the subscription)",
        times=1,
        video_again=live,
        seen=f"started again: {'yes' if again else 'NO'}; the camera {', '.join(done) or 'stays paused'}",
        must=f"started again, still paused; then a picture <= {first_s:g} s",
        ok=bool(again) and not done and live.worst <= first_s,
    )


async def _server_restarted(ground: Ground, both: dict[str, Device], number: int, *, opens_s: float) -> None:
    marks = {mode: one.mark() for mode, one in both.items()}
    ground.server.kill()
    await asyncio.sleep(_AWAY_S)
    back = await ground.server.back()
    for mode, one in both.items():
        assert await until_logged(one, marks[mode], "room.state", new="live", within_s=30.0), one.daemon.text[-10:]
    live_s = time.monotonic() - back.at
    opened = len(both[SLEEP].since(marks[SLEEP], "worker.spawned", worker=CAMERA))
    visits = await _watch(ground, both, f"after-server-{number}")
    _record(
        ground,
        f"server SIGKILL, back after {_AWAY_S:g} s, one device paused and one asleep; then a viewer of each (from the "
        "subscription)",
        times=2,
        video_again=Figures([each.live.worst for each in visits.values()]),
        seen=f"both in the room again {live_s:.1f} s after the port was open; the camera was opened {opened} times "
        "before a viewer came",
        must=f"in the room <= {_ROOM_S:g} s; a picture <= {opens_s:g} s",
        ok=live_s <= _ROOM_S and all(each.live.worst <= opens_s for each in visits.values()),
    )


async def _connection_dead(ground: Ground, both: dict[str, Device], number: int, *, opens_s: float) -> None:
    marks, seconds = {mode: one.mark() for mode, one in both.items()}, Figures()
    began = time.monotonic()

    async def noticed(mode: str, one: Device) -> None:
        found = await until_logged(one, marks[mode], "room.left", within_s=30.0)
        seconds.seconds.append(time.monotonic() - began if found else float("inf"))

    with ground.network.dropping("meta l4proto { tcp, udp }"):
        await asyncio.gather(*(noticed(*each) for each in both.items()))
    for mode, one in both.items():
        assert await until_logged(one, marks[mode], "room.state", new="live", within_s=30.0), one.daemon.text[-10:]
    why = Counter(str(line["reason"]) for mode, one in both.items() for line in one.since(marks[mode], "room.left"))
    visits = await _watch(ground, both, f"after-dead-{number}")
    _record(
        ground,
        "all packets are lost, one device paused and one asleep (noticed after); then a viewer of each",
        times=2,
        longest_gap=f"noticed {seconds}",
        video_again=Figures([each.live.worst for each in visits.values()]),
        seen=counted(why.items()),
        must=f"the connection is left <= {_DEAD_S:g} s; then a picture <= {opens_s:g} s",
        ok=seconds.worst <= _DEAD_S and all(each.live.worst <= opens_s for each in visits.values()),
    )
