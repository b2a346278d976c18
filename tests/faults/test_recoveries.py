"""Growth with the number of recoveries: 300 in one daemon, both workers, each as soon as it is live."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.faults.figures import NEVER, Figures
from tests.faults.footprint import Footprint
from tests.faults.rogue import CRASHED, GARBAGE, KILLED, possessed
from tests.faults.worker_outage import CAMERA, MICROPHONE, again, pid_of, ready
from tests.support.children import living_descendants

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.device import Device
    from tests.faults.ground import Ground
    from tests.faults.rogue import Rogue

_RECOVERIES, _FIRST = 300, 30
_FAULTS = (KILLED, CRASHED, GARBAGE)
_SETTLE_S, _LIMIT_S = 5.0, 15.0
_SLOPE_KB = 10.0  # per recovery
_SLACK = 1
_MIN_LIVE_S = 0.1


@dataclass(slots=True)
class _Course:
    """The progress: each recovery of either worker takes the next number."""

    until: int = 0
    struck: int = 0
    live: dict[str, Figures] = field(default_factory=lambda: {CAMERA: Figures(), MICROPHONE: Figures()})
    rss_kb: list[tuple[int, int]] = field(default_factory=list)  # with the number of the recovery


@pytest.mark.usefixtures("quiet")
@pytest.mark.timeout(600)
def test_300_recoveries(ground: Ground, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with possessed(ground, tmp_path) as (one, inside):
            await _record(ground, one, inside)

    ground.run(scenario())


async def _record(ground: Ground, one: Device, inside: Rogue) -> None:
    course, began = _Course(), time.monotonic()
    await _recover(one, inside, course, until=_FIRST)
    early = await _settled(one)
    await _recover(one, inside, course, until=_RECOVERIES)
    late = await _settled(one)
    took_s = time.monotonic() - began
    numbers, sizes = zip(*((number, kb) for number, kb in course.rss_kb if number > _FIRST), strict=True)
    slope_kb = float(np.polyfit(numbers, sizes, 1)[0])
    (before, children_before), (after, children_after) = early, late
    ground.table.record(
        f"{course.struck} recoveries in one daemon, in {took_s:.0f} s: {', '.join(each.name for each in _FAULTS)}",
        {
            "times": course.struck,
            "video again": course.live[CAMERA],
            "audio again": course.live[MICROPHONE],
            "idle": f"{ground.meter.percent():.0f} %",
            "events seen": f"RSS {slope_kb:+.1f} KB each; after {_FIRST}: {before}, {children_before} children; "
            f"after {course.struck}: {after}, {children_after} children",
        },
        must=f"RSS <= {_SLOPE_KB:.0f} KB each after the first {_FIRST}; no more threads, descriptors, children",
        ok=slope_kb <= _SLOPE_KB
        and after.threads <= before.threads + _SLACK
        and after.descriptors <= before.descriptors + _SLACK
        and children_after == children_before
        and max(each.worst for each in course.live.values()) < NEVER,
    )


async def _recover(one: Device, inside: Rogue, course: _Course, *, until: int) -> None:
    """Make both workers fail and recover, each at its own pace."""
    course.until = until
    await ready(one)
    async with asyncio.TaskGroup() as both:
        for number, worker in enumerate((CAMERA, MICROPHONE)):
            both.create_task(_keep_falling(one, inside, worker, course, number))


async def _keep_falling(one: Device, inside: Rogue, worker: str, course: _Course, first: int) -> None:
    for fault in itertools.islice(itertools.cycle(_FAULTS), first, None):
        if course.struck >= course.until:
            return
        course.struck += 1
        number = course.struck
        inside.tell(one.daemon.pid, "forgive")
        pid, at = await pid_of(one, worker), time.monotonic()
        fault.strike(inside, pid)
        live_s = await again(one, worker, at, within_s=_LIMIT_S)
        assert live_s < NEVER, f"{worker} after {fault.name}: {one.viewer.attributes()} {one.daemon.text[-5:]}"
        course.live[worker].seconds.append(live_s)
        course.rss_kb.append((number, Footprint.of(one.daemon.pid).rss_kb))
        await asyncio.sleep(_MIN_LIVE_S)


async def _settled(one: Device) -> tuple[Footprint, int]:
    await ready(one)
    await asyncio.sleep(_SETTLE_S)
    return Footprint.of(one.daemon.pid), len(living_descendants(one.daemon.pid))
