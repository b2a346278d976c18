"""Devices whose room is empty for most of the time: what they take meanwhile, and what a viewer waits for."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from livekit import rtc

from tests.bench.accounts import used_s
from tests.faults.device import Device, new_room, prepared
from tests.faults.figures import NEVER, Figures, longest_gap
from tests.faults.recovery import until_logged
from tests.faults.uplink import arrived_bytes
from tests.faults.viewer import Viewer, viewing
from tests.support.children import living_descendants
from tests.support.tokens import token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.faults.device import Mark
    from tests.faults.ground import Ground
    from tests.support.livekit_server import Server

PAUSE, SLEEP = "pause", "sleep"
SLEEP_AFTER_S = 5.0
"""The lowest `sleep_after_s`."""
NOTICED_S = 40.0
"""From the end of the last viewer to a pause, at most: a viewer that was killed stays in the room for 26 s."""
LEFT_S = 20.0
"""The same after a viewer that has left in order."""
_FIRST_S, _START_S = 20.0, 60.0
_STATES = {PAUSE: "paused", SLEEP: "asleep"}
_ON_THE_WAY_S = 1.0


@contextlib.asynccontextmanager
async def unwatched(
    ground: Ground,
    folder: Path,
    mode: str,
    *,
    sleep_after_s: float = SLEEP_AFTER_S,
    neighbour: bool = False,
) -> AsyncIterator[Device]:
    """Run a device that is alone in its room, from the moment that it is live."""
    room = new_room()
    variables = {
        "DEVICE_CAMERA__WHEN_UNWATCHED": mode,
        "DEVICE_CAMERA__SLEEP_AFTER_S": str(sleep_after_s),
        "DEVICE_LOG__LEVEL": "debug",
    }
    async with prepared(
        ground.network,
        ground.server,
        _made(folder),
        viewer=Viewer([ground.server], room),  # it stays outside
        room=room,
        variables=variables,
        neighbour=neighbour,
    ) as one:
        one.start()
        assert await until_logged(one, (1, 0), "room.state", new="live", within_s=_START_S), one.daemon.text[-10:]
        yield one


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


async def until_idle(one: Device, mark: Mark, mode: str, *, within_s: float) -> float:
    """Wait until a device is paused, or asleep; return the seconds. Raises AssertionError."""
    began = time.monotonic()
    within_s += SLEEP_AFTER_S if mode == SLEEP else 0.0
    found = await until_logged(one, mark, "camera.sending", new=_STATES[mode], within_s=within_s)
    assert found, f"not {_STATES[mode]} within {within_s:g} s: {one.daemon.text[-10:]}"
    return time.monotonic() - began


def changes(one: Device, mark: Mark) -> list[str]:
    """Return what the camera has done for the room since then, one word per change."""
    return [str(line["new"]) for line in one.since(mark, "camera.sending")]


@dataclass(slots=True)
class Visits:
    """Seconds from a viewer's subscription to its first picture of any kind, and to the camera's; and from its join."""

    first: Figures = field(default_factory=Figures)
    live: Figures = field(default_factory=Figures)
    joined: Figures = field(default_factory=Figures)

    async def visit(self, server: Server, one: Device, name: str, *, stays_s: float = 1.0) -> None:
        """Watch a device until its picture is there, and a little longer."""
        began = time.monotonic()
        async with viewing([server], one.room, name=name) as viewer:
            await viewer.until(lambda: _live_at(viewer) < NEVER, within_s=_FIRST_S)
            subscribed_at = next((at for event, at in viewer.events if event == "track:device:camera"), NEVER)
            self.first.seconds.append(viewer.pictures[0].at - subscribed_at if viewer.pictures else NEVER)
            self.live.seconds.append(_live_at(viewer) - subscribed_at)
            self.joined.seconds.append(_live_at(viewer) - began)
            await asyncio.sleep(stays_s)


def _live_at(viewer: Viewer) -> float:
    return next((each.at for each in viewer.pictures if each.number is not None), NEVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a device has taken so far: bytes of IP that it sent, processor time, context switches."""

    sent: int
    processor_s: float
    switches: int
    at: float

    @classmethod
    def by(cls, ground: Ground, one: Device) -> Taken:
        """Read it, of the daemon and its workers; each device of one interface must be alone there."""
        processor_s, switches = 0.0, 0
        for pid in (one.daemon.pid, *living_descendants(one.daemon.pid)):
            with contextlib.suppress(OSError):  # it has ended
                processor_s += used_s(Path(f"/proc/{pid}/stat").read_text(), reaped=False)
                switches += sum(map(_switches, Path(f"/proc/{pid}/task").iterdir()))
        interface = "east" if one.neighbour else "south"
        return cls(
            sent=arrived_bytes(ground.network, interface),
            processor_s=processor_s,
            switches=switches,
            at=time.monotonic(),
        )

    def since(self, before: Taken) -> Rates:
        over_s = self.at - before.at
        return Rates(
            sent_kbps=8 * (self.sent - before.sent) / over_s / 1000,
            processor_percent=100 * (self.processor_s - before.processor_s) / over_s,
            switches=(self.switches - before.switches) / over_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Kilobits of IP and context switches per second, and the share of one core."""

    sent_kbps: float
    processor_percent: float
    switches: float

    def __str__(self) -> str:
        gb_a_month = self.sent_kbps * 1000 / 8 * 86400 * 30 / 1e9
        return (
            f"{self.sent_kbps:.1f} kbit/s ({gb_a_month:.1f} GB in 30 days), {self.processor_percent:.1f} % of a core, "
            f"{self.switches:.0f} context switches a second"
        )


def _switches(task: Path) -> int:
    with contextlib.suppress(OSError):
        lines = (task / "status").read_text().splitlines()
        return sum(int(line.rpartition("\t")[2]) for line in lines if "ctxt_switches" in line)
    return 0


@contextlib.asynccontextmanager
async def subscriber(server: Server, one: Device, name: str) -> AsyncIterator[rtc.RemoteTrackPublication]:
    """Join a device's room and yield the publication of its camera, to subscribe and unsubscribe."""
    room = rtc.Room()
    await room.connect(server.url, token(server, one.room, identity=name))
    try:
        give_up_at = time.monotonic() + _FIRST_S
        while True:
            tracks = [each for who in room.remote_participants.values() for each in who.track_publications.values()]
            if found := [each for each in tracks if each.name == "camera"]:
                break
            assert time.monotonic() < give_up_at, "the camera is not published"
            await asyncio.sleep(0.1)
        yield found[0]
    finally:
        await room.disconnect()


async def toggle(server: Server, one: Device, *, times: int, every_s: float) -> None:
    """Change a subscription so often."""
    async with subscriber(server, one, "toggler") as publication:
        for number in range(times):
            publication.set_subscribed(bool(number % 2))
            await asyncio.sleep(every_s)


@contextlib.asynccontextmanager
async def killed_later(server: Server, one: Device) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Run a viewer in a process of its own, from the moment that it has a picture, for the caller to kill."""
    mark = one.mark()
    with _lone_viewer(server, one) as running:
        try:
            assert running.stdout
            assert await asyncio.to_thread(running.stdout.readline) == b"picture\n", changes(one, mark)
            yield running
        finally:
            running.kill()


def _lone_viewer(server: Server, one: Device) -> subprocess.Popen[bytes]:
    program = ("-m", "tests.faults.lone_viewer", server.url, token(server, one.room, identity="killed"))
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", sys.executable, *program],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


async def leave_in_turn(server: Server, one: Device, *, viewers: int, every_s: float) -> float:
    """Let viewers leave one after the other; return the longest gap in the picture of the last one."""
    async with viewing([server], one.room, name="last") as last, contextlib.AsyncExitStack() as left:
        others = [contextlib.AsyncExitStack() for _ in range(viewers - 1)]
        for number, each in enumerate(others):
            await left.enter_async_context(each)
            await each.enter_async_context(viewing([server], one.room, name=f"leaver-{number}"))
        assert await last.until(lambda: _live_at(last) < NEVER, within_s=_FIRST_S), last.events
        await asyncio.sleep(_ON_THE_WAY_S)
        began = time.monotonic()
        for each in others:
            await each.aclose()
            await asyncio.sleep(every_s)
        return longest_gap([each.at for each in last.pictures], began, time.monotonic())
