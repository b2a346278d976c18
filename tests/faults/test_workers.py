"""The effect of camera and microphone workers that fail, in every way."""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from tests.faults.device import Device, device
from tests.faults.plan import as_often
from tests.faults.recovery import first_picture, picture_after, sound_after
from tests.faults.rogue import ALL, KILLED, STOPPED, Fault, Rogue, rogue
from tests.faults.worker_outage import CAMERA, GAP_S, MICROPHONE, Casualties, again, hear, pid_of, ready, strike

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.ground import Ground
    from tests.faults.moments import Moment

pytestmark = [pytest.mark.usefixtures("quiet"), pytest.mark.timeout(300)]

_DEVICES, _TIMES, _TIMES_BOTH = 2, as_often(5, short=3), as_often(3, short=2)
_SERVER_AWAY_S, _ROOM_S, _WAIT_S = 1.5, 4.0, 20.0


@pytest.fixture(scope="module")
def inside() -> Iterator[Rogue]:
    with rogue() as made:
        yield made


@pytest.fixture(scope="module")
def pair(ground: Ground, inside: Rogue, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Device]]:
    """Run two devices: one loses its camera worker while the other loses its microphone worker."""
    stack = AsyncExitStack()

    async def begin() -> list[Device]:
        made = []
        for _ in range(_DEVICES):
            one = await stack.enter_async_context(
                device(ground.network, [ground.server], tmp_path_factory.mktemp("workers"))
            )
            inside.possess(one)
            one.start()
            await first_picture(one)
            made.append(one)
        return made

    try:
        yield ground.run(begin())
    finally:
        ground.run(stack.aclose())


@pytest.mark.parametrize("fault", ALL, ids=lambda fault: fault.name)
def test_worker(ground: Ground, pair: list[Device], inside: Rogue, fault: Fault) -> None:
    of = {CAMERA: Casualties(), MICROPHONE: Casualties()}

    async def scenario() -> None:
        for number in range(_TIMES):
            workers = (CAMERA, MICROPHONE) if number % 2 else (MICROPHONE, CAMERA)
            strikes = (
                strike(one, inside, worker, fault, of[worker]) for one, worker in zip(pair, workers, strict=True)
            )
            await asyncio.gather(*strikes)

    ground.run(scenario())
    idle = f"{ground.meter.percent():.0f} %"
    with contextlib.ExitStack() as rows:  # the second is recorded even if the first does not hold
        rows.callback(_record_microphone, ground, fault, of[MICROPHONE], idle)
        _record_camera(ground, fault, of[CAMERA], idle)


@pytest.mark.parametrize("fault", (KILLED, STOPPED), ids=lambda fault: fault.name)
def test_both_workers(ground: Ground, pair: list[Device], inside: Rogue, fault: Fault) -> None:
    camera, microphone = Casualties(), Casualties()

    async def suffer(one: Device) -> None:
        await ready(one)
        inside.tell(one.daemon.pid, "forgive")
        mark, at = one.mark(), time.monotonic()
        for worker in (CAMERA, MICROPHONE):
            fault.strike(inside, await pid_of(one, worker))
        camera_s, microphone_s = await asyncio.gather(again(one, CAMERA, at), again(one, MICROPHONE, at))
        camera.live.seconds.append(camera_s)
        microphone.live.seconds.append(microphone_s)
        for worker, into in ((CAMERA, camera), (MICROPHONE, microphone)):
            await hear(one, worker, at, mark, into, alone=False)

    async def scenario() -> None:
        for _ in range(_TIMES_BOTH):
            await asyncio.gather(*(suffer(one) for one in pair))

    ground.run(scenario())
    _record_both(ground, f"both workers at once: {fault.name}", camera, microphone, within_s=fault.within_s)


@pytest.mark.parametrize("fault", (KILLED, STOPPED), ids=lambda fault: fault.name)
def test_both_workers_while_the_room_reconnects(
    ground: Ground, pair: list[Device], inside: Rogue, fault: Fault
) -> None:
    camera, microphone = Casualties(), Casualties()

    async def scenario() -> None:
        for _ in range(_TIMES_BOTH):
            for one in pair:
                await ready(one)
                inside.tell(one.daemon.pid, "forgive")
            marks = [one.mark() for one in pair]
            pids = [await pid_of(one, worker) for one in pair for worker in (CAMERA, MICROPHONE)]
            ground.server.kill()
            try:
                for pid in pids:
                    fault.strike(inside, pid)
                await asyncio.sleep(_SERVER_AWAY_S)
            finally:
                back = await ground.server.back()
            for video_s, audio_s in await asyncio.gather(*(_both_after(one, back) for one in pair)):
                camera.live.seconds.append(video_s)
                microphone.live.seconds.append(audio_s)
            for one, mark in zip(pair, marks, strict=True):
                await ready(
                    one
                )  # the attributes have it; a viewer that joins during the recovery has not seen the earlier ones
                camera.events += one.events(mark)

    ground.run(scenario())
    what = f"both workers, {fault.name}, while the server is away for {_SERVER_AWAY_S} s (since its port is open)"
    _record_both(ground, what, camera, microphone, within_s=_ROOM_S)


async def _both_after(one: Device, moment: Moment) -> tuple[float, float]:
    return await asyncio.gather(
        picture_after(one, moment, within_s=_WAIT_S), sound_after(one, moment.at, within_s=_WAIT_S)
    )


def _record_both(ground: Ground, what: str, camera: Casualties, microphone: Casualties, *, within_s: float) -> None:
    ground.table.record(
        what,
        {
            "times": len(camera.live.seconds),
            "video again": camera.live,
            "audio again": microphone.live,
            "idle": f"{ground.meter.percent():.0f} %",
            "events seen": "; ".join(filter(None, [camera.events_text(), microphone.events_text()])),
        },
        must=f"video and sound <= {within_s:.0f} s",
        ok=max(camera.live.worst, microphone.live.worst) <= within_s and not camera.missing and not microphone.missing,
    )


def _record_camera(ground: Ground, fault: Fault, seen: Casualties, idle: str) -> None:
    ground.table.record(
        f"camera worker: {fault.name}",
        {
            "times": len(seen.live.seconds),
            "slate after": seen.slate if seen.slate.seconds else "not needed",
            "video again": seen.live,
            "longest gap": f"sound {seen.other_gap.worst:.2f}",
            "idle": idle,
            "events seen": seen.events_text(),
        },
        must=f"slate <= 3 s or live before; live <= {fault.within_s:.0f} s; sound without a gap over 0.2 s",
        ok=seen.live.worst <= fault.within_s
        and not seen.late_slates
        and seen.other_gap.worst <= GAP_S
        and not seen.missing,
    )


def _record_microphone(ground: Ground, fault: Fault, seen: Casualties, idle: str) -> None:
    ground.table.record(
        f"microphone worker: {fault.name}",
        {
            "times": len(seen.live.seconds),
            "audio again": seen.live,
            "longest gap": f"video {seen.other_gap.worst:.2f}",
            "idle": idle,
            "events seen": "; ".join(filter(None, [seen.events_text(), f"{seen.noise} noises" if seen.noise else ""])),
        },
        must=f"silence meanwhile; sound <= {fault.within_s:.0f} s; video without a gap over 0.2 s",
        ok=seen.live.worst <= fault.within_s and not seen.noise and seen.other_gap.worst <= GAP_S and not seen.missing,
    )
