"""Rejoins one after the other, of a device and of a program on the bare SDK, and what they take."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.faults.footprint import Footprint
from tests.faults.recovery import picture_after, until_logged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.device import Device
    from tests.faults.moments import Moment
    from tests.faults.servers import Node

QUICK = {"DEVICE_RECONNECT__PROBE_S": "0.5", "DEVICE_RECONNECT__SPREAD_S": "0"}
_SETTLE_S = 15.0


@contextlib.contextmanager
def bare_program(server: Node, room: str, joins: Path) -> Iterator[subprocess.Popen[bytes]]:
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


def lines(file: Path) -> int:
    return len(file.read_text().splitlines())


async def reconnect(server: Node, one: Device, times: int, *, spacing_s: float) -> None:
    for _ in range(times):
        began, mark = time.monotonic(), one.mark()
        await server.force_down()
        back: Moment = await server.back()
        assert await picture_after(one, back, within_s=60) < 60, (one.daemon.text[-20:], one.viewer.events[-10:])
        # Sometimes the server closes without a word; then the SDK reconnects the same Room, in 0.4 s.
        assert await until_logged(one, mark, "room.sdk_state", state="connected")
        await asyncio.sleep(max(0.0, began + spacing_s - time.monotonic()))


async def settled(one: Device, bare: int) -> tuple[Footprint, Footprint]:
    await asyncio.sleep(_SETTLE_S)
    return Footprint.of(one.daemon.pid), Footprint.of(bare)
