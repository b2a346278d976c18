"""Growth of memory, threads or descriptors with the number of reconnections.

Each is a new Room: the server is forced down, which ends the old Room with SERVER_SHUTDOWN, and started again. A
program on the bare SDK does the same, which measures the SDK's own growth.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.device import SILENT, device
from tests.faults.footprint import Footprint
from tests.faults.recovery import first_picture, picture_after
from tests.faults.servers import node

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.device import Device
    from tests.faults.ground import Ground
    from tests.faults.moments import Moment
    from tests.faults.servers import Node
    from tests.faults.side_by_side import SideBySide

_RECONNECTIONS, _FIRST = 120, 20
_SPACING_S, _SETTLE_S = 1.0, 15.0
_QUICK = {"DEVICE_RECONNECT__PROBE_S": "0.5", "DEVICE_RECONNECT__SPREAD_S": "0"}
_SLACK_KB = 20  # per reconnection


async def _growth(ground: Ground, folder: Path) -> None:
    with node(7950) as server:
        async with device(ground.network, [server], folder, **(SILENT | _QUICK)) as one:
            one.start()
            await first_picture(one)
            with _bare(server, one.room, folder / "joins") as bare:
                await _record(ground, server, one, bare.pid, folder / "joins")


@contextlib.contextmanager
def _bare(server: Node, room: str, joins: Path) -> Iterator[subprocess.Popen[bytes]]:
    program = ("-m", "tests.faults.bare", server.url, server.api_key, server.api_secret, room)
    with (
        joins.open("wb") as out,
        subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", sys.executable, *program], stdout=out, stderr=subprocess.DEVNULL
        ) as running,
    ):
        try:
            yield running
        finally:
            running.kill()


async def _record(ground: Ground, server: Node, one: Device, bare: int, joins: Path) -> None:
    mark = one.mark()
    await _reconnect(server, one, _FIRST)
    early, early_bare = await _settled(one, bare)
    began = time.monotonic()
    await _reconnect(server, one, _RECONNECTIONS - _FIRST)
    took_s = time.monotonic() - began
    late, late_bare = await _settled(one, bare)
    count = _RECONNECTIONS - _FIRST
    slope, slope_bare = (
        (after.rss_kb - before.rss_kb) / count for before, after in ((early, late), (early_bare, late_bare))
    )
    rooms = len(one.since(mark, "room.state", new="live"))
    rooms_bare = _lines(joins)
    ground.table.record(
        f"{_RECONNECTIONS} reconnections, {took_s / count:.1f} s apart",
        {
            "times": rooms,
            "events seen": f"after {_FIRST}: {early}; after {_RECONNECTIONS}: {late}; RSS {slope:+.0f} KB each, "
            f"the bare SDK {slope_bare:+.0f} KB each ({early_bare}; {late_bare}; {rooms_bare} joins)",
        },
        must=f"RSS no more than {_SLACK_KB} KB each above the bare SDK; threads and descriptors + 4 at most",
        ok=rooms >= 0.9 * _RECONNECTIONS  # measured: 118 of 120; the reason for the other two is not known
        and slope <= max(0, slope_bare) + _SLACK_KB
        and late.threads <= early.threads + 4
        and late.descriptors <= early.descriptors + 4,
    )


def _lines(file: Path) -> int:
    return len(file.read_text().splitlines())


async def _reconnect(server: Node, one: Device, times: int) -> None:
    for _ in range(times):
        began = time.monotonic()
        await server.force_down()
        back: Moment = await server.back()
        assert await picture_after(one, back, within_s=60) < 60
        await asyncio.sleep(max(0.0, began + _SPACING_S - time.monotonic()))


async def _settled(one: Device, bare: int) -> tuple[Footprint, Footprint]:
    await asyncio.sleep(_SETTLE_S)
    return Footprint.of(one.daemon.pid), Footprint.of(bare)


@pytest.mark.usefixtures("quiet")
@pytest.mark.timeout(900)
@pytest.mark.side_by_side.with_args(_growth)
def test_nothing_grows(side_by_side: SideBySide) -> None:
    scenario: Any = _growth
    side_by_side.wait(scenario)
