"""A camera or microphone that is absent at the start, appears, is removed for a minute, and gets another number."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.device import device
from tests.faults.figures import Figures, as_text, longest_gap
from tests.faults.plug import NODES, Plug, with_own_dev
from tests.faults.rogue import rogue
from tests.faults.worker_outage import CAMERA, GAP_S, MICROPHONE, slate_after

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.device import Device
    from tests.faults.ground import Ground

_FIRST_AWAY_S, _AWAY_S = 6.0, 60.0
_READY_S, _BACK_S, _SLATE_S, _REPEAT_S = 5.0, 3.0, 3.0, 1.5
_FIRST_SLATE_S = 5.0  # after READY=1, which is sent before the join
_SETTLE_S = 3.0  # the other medium is watched for this long after each change


async def _scenario(ground: Ground, folder: Path, worker: str) -> None:
    with rogue() as inside, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(inside.folder / "notify"))
        manager.settimeout(0)
        wrapper = with_own_dev(folder / "dev")
        async with device(ground.network, [ground.server], folder, wrapper=wrapper) as one:
            inside.possess(one)
            one.variables["NOTIFY_SOCKET"] = manager.getsockname()
            inside.unplug(worker)
            await _record(ground, one, manager, Plug(one=one, inside=inside, worker=worker))


async def _record(ground: Ground, one: Device, manager: socket.socket, plug: Plug) -> None:
    back, other_gap, unseen = Figures(), Figures(), 0
    slate, throttle = Figures(), Figures()
    one.start()
    ready_s = await _ready(manager) - one.started_at
    began = time.monotonic()
    unseen += not await plug.seen("absent: ")
    await one.viewer.until(lambda: plug.other and plug.other[-1] > began, within_s=20)
    for number, away_s in enumerate((_FIRST_AWAY_S, _AWAY_S)):
        if number:
            await plug.pull()
            began = time.monotonic()
            unseen += not await plug.seen("absent: ")
        await asyncio.sleep(away_s)
        until = time.monotonic()
        if plug.worker == CAMERA:
            slate_s = slate_after(one.viewer, began)
            slate.seconds.append(slate_s)
            throttle.seconds.append(longest_gap([each.at for each in one.viewer.pictures], began + slate_s, until))
        back.seconds.append(await plug.back(plug.put(NODES[plug.worker][number])))
        unseen += not await plug.seen("live")
        await asyncio.sleep(_SETTLE_S)
        if number:
            other_gap.seconds.append(longest_gap(plug.other, began, began + _SETTLE_S))
            other_gap.seconds.append(longest_gap(plug.other, until, time.monotonic()))
    camera = plug.worker == CAMERA
    ground.table.record(
        f"{plug.worker} absent at the start; taken away for {_AWAY_S:.0f} s, back under another number",
        {
            "times": len(back.seconds),
            "slate after": slate if camera else "",
            "video again" if camera else "audio again": back,
            "longest gap": f"{'sound' if camera else 'video'} {as_text(other_gap.worst)}",
            "events seen": f"READY=1 after {ready_s:.2f} s"
            + (f"; slate each {as_text(throttle.worst)} s" if camera else "")
            + (f"; MISSING attributes {unseen}" if unseen else ""),
        },
        must=f"ready <= {_READY_S:.0f} s; live <= {_BACK_S:.0f} s of its appearance; "
        + (
            f"slate <= {_FIRST_SLATE_S:.0f} s of ready, then <= {_SLATE_S:.0f} s, again each {_REPEAT_S} s; sound"
            if camera
            else "video"
        )
        + " without a gap over 0.2 s; absent and live in the attributes",
        ok=ready_s <= _READY_S
        and back.worst <= _BACK_S
        and other_gap.worst <= GAP_S
        and not unseen
        and (not camera or (_slates_in_time(slate.seconds) and throttle.worst <= _REPEAT_S)),
    )


def _slates_in_time(seconds: list[float]) -> bool:
    at_start, taken_away = seconds
    return at_start <= _FIRST_SLATE_S and taken_away <= _SLATE_S


async def _ready(manager: socket.socket) -> float:
    """Wait for READY=1; return when it came."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(4 * _READY_S):
        while b"READY=1" not in await loop.sock_recv(manager, 4096):
            pass
    return time.monotonic()


@pytest.mark.usefixtures("quiet")
@pytest.mark.timeout(300)
def test_absent(ground: Ground, tmp_path: Path) -> None:
    """Both at once, each on a device of its own, because they mostly wait."""

    async def scenario() -> None:
        running = []
        for worker in (CAMERA, MICROPHONE):
            folder = tmp_path / worker
            folder.mkdir()
            running.append(_scenario(ground, folder, worker))
        # The second is recorded even if the first does not hold.
        for failure in await asyncio.gather(*running, return_exceptions=True):
            if failure is not None:
                raise failure

    ground.run(scenario())
