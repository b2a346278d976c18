"""A daemon with too much memory executes itself again: the gap that viewers see, and what is left of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.faults.figures import Figures, longest_gap
from tests.faults.footprint import Footprint
from tests.faults.recovery import picture_after, until_logged
from tests.faults.rogue import possessed
from tests.faults.worker_outage import ready
from tests.support.children import living_descendants

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.device import Device
    from tests.faults.ground import Ground
    from tests.faults.rogue import Rogue

_TIMES, _OUTAGES = 5, 2
_GAP_S, _BACK_S = 3.0, 4.0
_WORKERS = 2
_SLACK = 2  # descriptors: connections to the server
_SETTLE_S = 15.0
_EXECUTES_S = 12.0  # memory is read every 10 s
_AGAIN = "daemon.executed_again"


@dataclass(slots=True)
class _Seen:
    video: Figures = field(default_factory=Figures)
    sound: Figures = field(default_factory=Figures)
    after_outage: Figures = field(default_factory=Figures)
    left: list[Footprint] = field(default_factory=list)
    orphans: int = 0
    evicted: int = 0
    moments: list[str] = field(default_factory=list)


@pytest.mark.usefixtures("quiet")
@pytest.mark.timeout(180)
def test_executes_again(ground: Ground, tmp_path: Path) -> None:
    async def scenario() -> _Seen:
        async with possessed(ground, tmp_path) as (one, inside):
            await ready(one)
            seen = _Seen(left=[Footprint.of(one.daemon.pid)])
            for _ in range(_TIMES):
                await _while_watched(one, inside, seen)
            for _ in range(_OUTAGES):
                await _while_away(ground, one, inside, seen)
            await ready(one)
            seen.left.append(await _settled(one, seen.left[0]))
            seen.evicted = len(one.since((0, 0), "room.left", reason="DUPLICATE_IDENTITY"))
            assert len(one.daemons) == 1  # the same process
            return seen

    seen = ground.run(scenario())
    first, last = seen.left
    ground.table.record(
        f"memory above the limit: the daemon executes itself again, {_TIMES} times under a viewer, {_OUTAGES} times "
        "while the server is away (again: since its port is open)",
        {
            "times": _TIMES + _OUTAGES,
            "video again": seen.after_outage,
            "longest gap": f"{seen.video}; sound {seen.sound}",
            "idle": f"{ground.meter.percent():.0f} %",
            "events seen": f"{first}, then {last}; {seen.evicted} evictions; {seen.orphans} workers left; "
            f"{', '.join(dict.fromkeys(seen.moments))}",
        },
        must=f"gap <= {_GAP_S:g} s; video <= {_BACK_S:g} s after an outage; the same process, no worker left, no "
        "eviction, no more descriptors",
        ok=seen.video.worst <= _GAP_S
        and seen.sound.worst <= _GAP_S
        and seen.after_outage.worst <= _BACK_S
        and not seen.orphans
        and not seen.evicted
        and last.descriptors <= first.descriptors + _SLACK,
    )


async def _settled(one: Device, first: Footprint) -> Footprint:
    """Return what is left when the threads of a Room that has ended are gone, which takes some seconds."""
    give_up_at = time.monotonic() + _SETTLE_S
    while True:
        found = Footprint.of(one.daemon.pid)
        if found.descriptors <= first.descriptors + _SLACK or time.monotonic() > give_up_at:
            return found
        await asyncio.sleep(1)


async def _while_watched(one: Device, inside: Rogue, seen: _Seen) -> None:
    await ready(one)
    workers = living_descendants(one.daemon.pid)
    began = time.monotonic()
    await _executed(one, inside, seen)
    await ready(one)
    seen.orphans += len(workers & living_descendants(one.daemon.pid))
    seen.orphans += len(living_descendants(one.daemon.pid)) - _WORKERS
    ended, viewer = time.monotonic(), one.viewer
    seen.video.seconds.append(longest_gap([each.at for each in viewer.pictures], began, ended))
    seen.sound.seconds.append(longest_gap(viewer.sound, began, ended))


async def _while_away(ground: Ground, one: Device, inside: Rogue, seen: _Seen) -> None:
    await ready(one)
    mark = one.mark()
    ground.server.kill()
    assert await until_logged(one, mark, "room.left")
    await _executed(one, inside, seen)
    assert await until_logged(one, mark, "room.waiting")
    await asyncio.sleep(1)
    back = await ground.server.back()
    seen.after_outage.seconds.append(await picture_after(one, back, within_s=30))


async def _executed(one: Device, inside: Rogue, seen: _Seen) -> None:
    mark = one.mark()
    inside.tell(one.daemon.pid, "again")
    logged = await until_logged(one, mark, "memory.executing_again", within_s=_EXECUTES_S)
    seen.moments.append(str(logged.get("moment", "not logged")))
    assert await until_logged(one, mark, _AGAIN), one.daemon.text[-10:]
