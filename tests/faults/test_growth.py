"""Growth of memory, threads or descriptors with the number of reconnections.

The server is forced down, which ends most Rooms with SERVER_SHUTDOWN, and started again; each of these is followed by a
new Room. A program on the bare SDK does the same, which measures the SDK's own growth.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.device import BEGINNING, SILENT, device
from tests.faults.recovery import first_picture, until_logged
from tests.faults.rejoins import QUICK, bare_program, lines, reconnect, settled
from tests.faults.servers import node

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.device import Device
    from tests.faults.ground import Ground
    from tests.faults.servers import Node
    from tests.faults.side_by_side import SideBySide

_RECONNECTIONS, _FIRST = 120, 20
_SPACING_S = 1.0
_SLACK_KB = 20  # per reconnection


async def _growth(ground: Ground, folder: Path) -> None:
    with node(7950) as server:
        async with device(ground.network, [server], folder, **(SILENT | QUICK)) as one:
            one.start()
            await first_picture(one)
            assert await until_logged(one, BEGINNING, "room.state", new="live")
            with bare_program(server, one.room, folder / "joins") as bare:
                await _record(ground, server, one, bare.pid, folder / "joins")


async def _record(ground: Ground, server: Node, one: Device, bare: int, joins: Path) -> None:
    mark = one.mark()
    await reconnect(server, one, _FIRST, spacing_s=_SPACING_S)
    early, early_bare = await settled(one, bare)
    began = time.monotonic()
    await reconnect(server, one, _RECONNECTIONS - _FIRST, spacing_s=_SPACING_S)
    took_s = time.monotonic() - began
    late, late_bare = await settled(one, bare)
    count = _RECONNECTIONS - _FIRST
    slope, slope_bare = (
        (after.rss_kb - before.rss_kb) / count for before, after in ((early, late), (early_bare, late_bare))
    )
    connections = len(one.since(mark, "room.sdk_state", state="connected"))
    rooms = len(one.since(mark, "room.state", new="live"))
    rooms_bare = lines(joins)
    ground.table.record(
        f"{_RECONNECTIONS} reconnections, {took_s / count:.1f} s apart",
        {
            "times": connections,
            "events seen": f"{rooms} new Rooms; after {_FIRST}: {early}; after {_RECONNECTIONS}: {late}; "
            f"RSS {slope:+.0f} KB each, the bare SDK {slope_bare:+.0f} KB each ({early_bare}; {late_bare}; "
            f"{rooms_bare} joins)",
        },
        must=f"RSS no more than {_SLACK_KB} KB each above the bare SDK; threads and descriptors + 4 at most",
        ok=connections >= _RECONNECTIONS
        and rooms >= _RECONNECTIONS // 2
        and slope <= max(0, slope_bare) + _SLACK_KB
        and late.threads <= early.threads + 4
        and late.descriptors <= early.descriptors + 4,
    )


@pytest.mark.usefixtures("quiet")
@pytest.mark.timeout(900)
@pytest.mark.side_by_side.with_args(_growth)
def test_nothing_grows(side_by_side: SideBySide) -> None:
    scenario: Any = _growth
    side_by_side.wait(scenario)
