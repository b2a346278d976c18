"""A server that is killed, stopped, or replaced by another node."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest

from tests.faults.fleet import Measured, fleet
from tests.faults.outages import SERVER_GONE, left, server_killed
from tests.faults.plan import as_often
from tests.faults.servers import two_nodes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.fleet import Fleet
    from tests.faults.ground import Ground
    from tests.faults.moments import Moment
    from tests.faults.servers import Node

_TIMES = as_often(5, short=3)
_FORCED = left("SERVER_SHUTDOWN", "SERVER_AWAY", "SERVER_RETURNED")


@pytest.mark.timeout(400)
def test_server_killed_for_5_s(ground: Ground, devices: Fleet) -> None:
    server_killed(ground, devices, away_s=5, times=_TIMES)


@pytest.mark.timeout(200)
def test_server_killed_for_long(ground: Ground, devices: Fleet) -> None:
    server_killed(ground, devices, away_s=as_often(60, short=30), times=1)


@pytest.mark.timeout(200)
def test_server_stopped_for_30_s(ground: Ground, devices: Fleet) -> None:
    async def strike() -> Moment:
        ground.server.signal(signal.SIGSTOP)
        await asyncio.sleep(30)
        return ground.server.signal(signal.SIGCONT)

    measured = ground.run(devices.run_fault(strike, times=1, within_s=40, expects=[SERVER_GONE]))
    ground.record("server SIGSTOP for 30 s", measured, must="video <= 6 s after SIGCONT", ok=measured.video.worst <= 6)


@pytest.mark.usefixtures("quiet")
@pytest.mark.timeout(400)
def test_second_node_takes_over(ground: Ground, tmp_path: Path) -> None:
    async def scenario(one: Node, other: Node) -> Measured:
        up, down = one, other

        async def strike() -> Moment:
            nonlocal up, down
            moment = await up.force_down()
            up, down = down, up
            return moment

        measured = Measured()
        urls = f'["{one.url}", "{other.url}"]'
        async with fleet(ground.network, [one, other], tmp_path, DEVICE_ROOM__URL=urls) as devices:
            await devices.start()
            for number in range(_TIMES):
                if number:
                    await down.back()
                measured.add(await devices.run_fault(strike, times=1, within_s=30, expects=[_FORCED]))
        return measured

    with two_nodes(7900, 7910) as (one, other):
        measured = ground.run(scenario(one, other))
    ground.record(
        "server forced down, a second node running",
        measured,
        must="video <= 3 s",
        ok=measured.video.worst <= 3,
        audio_again=f"gaps {measured.audio_gap}",  # media on its way arrives at once
    )
