"""Growth of memory, threads or descriptors with the number of reconnections.

The server is forced down, which ends most Rooms with SERVER_SHUTDOWN, and started again; each of these is followed by a
new Room. A program on the bare SDK does the same, which measures the SDK's own growth.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.device import BEGINNING, SILENT, device
from tests.faults.footprint import Footprint
from tests.faults.recovery import first_picture, picture_after, until_logged
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
            assert await until_logged(one, BEGINNING, "room.state", new="live")
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
    connections = len(one.since(mark, "room.sdk_state", state="connected"))
    rooms = len(one.since(mark, "room.state", new="live"))
    rooms_bare = _lines(joins)
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


def _lines(file: Path) -> int:
    return len(file.read_text().splitlines())


async def _reconnect(server: Node, one: Device, times: int) -> None:
    for _ in range(times):
        began, mark = time.monotonic(), one.mark()
        await server.force_down()
        back: Moment = await server.back()
        assert await picture_after(one, back, within_s=60) < 60
        # Sometimes the server closes without a word; then the SDK reconnects the same Room, in 0.4 s.
        assert await until_logged(one, mark, "room.sdk_state", state="connected")
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
