"""A device that participants call far more often than they may, and the row about it."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.accounts import used_s
from tests.faults.device import device
from tests.faults.figures import longest_gap
from tests.faults.recovery import first_picture
from tests.support.flood import Flooded, flooded
from tests.support.operator_client import operator_token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.ground import Ground

GAP_S = 0.3
_RATE, _SECONDS, _CALLERS = 1000.0, 10.0, 2
_SETTLED_S = 3.0
# Callers, server and viewer share the device's cores: with less, they wait for each other for longer than the bound.
# Then the row reports a miss, and fails only above twice the bound.
_BUSY_PERCENT, _MOST_GAP_S = 25.0, 0.6
_ALLOW = json.dumps([{"identity": "ops-*", "operations": ["status"]}])


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """What became of the calls, the longest gap in the picture meanwhile, and the cores that daemon and server used."""

    calls: Flooded
    gap_s: float
    daemon_cores: float
    server_cores: float


def flood_device(ground: Ground, folder: Path, *, command: Sequence[str | Path] | None = None) -> Flood:
    """Let participants call a new device; `command` is the program that calls, for `flooded`."""
    return ground.run(_flood(ground, folder, {} if command is None else {"command": command}))


async def _flood(ground: Ground, folder: Path, caller: dict[str, Sequence[str | Path]]) -> Flood:
    async with device(ground.network, [ground.server], folder, DEVICE_CONTROL__ALLOW=_ALLOW) as one:
        one.start()
        await first_picture(one)
        await asyncio.sleep(_SETTLED_S)
        server = ground.server.process
        assert server
        pids = one.daemon.pid, server.pid
        tokens = [operator_token(ground.server, one.room, identity=f"ops-{number}") for number in range(_CALLERS)]
        before, began = [_processor_s(pid) for pid in pids], time.monotonic()
        calls = await flooded(ground.server.url, *tokens, rate=_RATE, seconds=_SECONDS, **caller)
        ended = time.monotonic()
        used = [(_processor_s(pid) - then) / (ended - began) for pid, then in zip(pids, before, strict=True)]
        gap_s = longest_gap([each.at for each in one.viewer.pictures], began, ended)
        return Flood(calls=calls, gap_s=gap_s, daemon_cores=used[0], server_cores=used[1])


def record(ground: Ground, found: Flood, *, must: str, ok: bool, more: str = "") -> None:
    """Add the row, then assert that it holds. `more` is about calls that were neither answered nor refused."""
    idle, calls = ground.meter.percent(), found.calls
    ground.table.record(
        f"{calls.rate:.0f} calls a second ({_RATE:.0f} asked for) for {_SECONDS:.0f} s, by {_CALLERS} participants "
        "that may control the device",
        {
            "times": 1,
            "longest gap": f"{found.gap_s:.2f}",
            "idle": f"{idle:.0f} %",
            "events seen": f"{calls.codes.get('0', 0)} answered, {calls.codes.get('429', 0)} refused (429){more}; "
            f"the callers used {calls.used:.1f} cores, the daemon {found.daemon_cores:.1f}, "
            f"the server {found.server_cores:.1f}",
        },
        must=f"{must}; picture without a gap over {GAP_S:g} s",
        excuse=f"{idle:.0f} % idle" if idle < _BUSY_PERCENT and found.gap_s <= _MOST_GAP_S else "",
        ok=ok and found.gap_s <= GAP_S,
    )


def _processor_s(pid: int) -> float:
    return used_s(Path(f"/proc/{pid}/stat").read_text(), reaped=False)
