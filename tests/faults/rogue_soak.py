"""Random faults, one at a time, and the media that viewers missed without a fault."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from tests.faults import rogue
from tests.faults.footprint import Footprint
from tests.faults.worker_outage import CAMERA, MICROPHONE, pid_of, ready

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Mapping

    from tests.faults.device import Device
    from tests.faults.ground import Ground

    Fault = Callable[[], Awaitable[object]]

_BETWEEN_S = (10.0, 40.0)
_SETTLE_S = 1.0
_MEMORY_EVERY_S = 60.0
WARM_UP = 10  # minutes
# The SDK's own growth per reconnection (`test_growth`), and memory that an allocator may keep.
_ROOM_KB, _SLACK_KB = 200, 3 << 10


@dataclass(slots=True)
class Soak:
    """One device with random faults: its memory by the minute, and the seconds that viewers missed without a fault."""

    ground: Ground
    one: Device
    inside: rogue.Rogue
    chance: random.Random
    struck: Counter[str] = field(default_factory=Counter)
    calm: list[tuple[float, float]] = field(default_factory=list)  # the times between which all media had to arrive
    memory: list[Footprint] = field(default_factory=list)

    async def run(self, *, for_s: float) -> None:
        """Apply a fault, wait until all media are back, pause, and repeat. Raises AssertionError."""
        ends_at = time.monotonic() + for_s
        remembering = asyncio.create_task(self._remember())
        faults = self._faults()
        try:
            while time.monotonic() < ends_at:
                await ready(self.one)
                await asyncio.sleep(_SETTLE_S)
                began = time.monotonic()
                await asyncio.sleep(self.chance.uniform(*_BETWEEN_S))
                self.calm.append((began, time.monotonic()))
                name = self.chance.choice(sorted(faults))
                self.struck[name] += 1
                await faults[name]()
        finally:
            remembering.cancel()

    def missed(self) -> list[str]:
        """Return each second without a fault that lacked picture or sound."""
        viewer = self.one.viewer
        media = {
            "picture": Counter(int(each.at) for each in viewer.pictures if each.number is not None),
            "sound": Counter(map(int, viewer.sound)),
        }
        seconds = itertools.chain(*(range(int(began) + 1, int(ended)) for began, ended in self.calm))
        return [f"{name} at {second}" for second in seconds for name, counts in media.items() if not counts[second]]

    def calm_s(self) -> float:
        return sum(ended - began for began, ended in self.calm)

    def reconnections(self) -> int:
        return len(self.one.since((0, 0), "room.state", new="live")) - 1

    def grown_kb(self) -> float:
        """Return the growth of memory since the first minutes, without the growth for each new Room."""
        sizes = [each.rss_kb for each in self.memory]
        early, late = sizes[WARM_UP : WARM_UP + 5] or sizes[:1], sizes[-5:]
        return statistics.median(late) - statistics.median(early)

    def allowed_kb(self) -> float:
        return _SLACK_KB + _ROOM_KB * self.reconnections()

    async def _remember(self) -> None:
        while True:
            self.memory.append(Footprint.of(self.one.daemon.pid))
            await asyncio.sleep(_MEMORY_EVERY_S)

    def _faults(self) -> Mapping[str, Fault]:
        network = self.ground.network

        async def away_s(seconds: float, begin: Callable[[], object], end: Callable[[], object]) -> None:
            begin()
            try:
                await asyncio.sleep(seconds)
            finally:
                end()

        async def server() -> None:
            self.ground.server.kill()
            await asyncio.sleep(5)
            await self.ground.server.back()

        async def address() -> None:
            network.change_address()

        async def lossy() -> None:
            with network.losing(5):
                await asyncio.sleep(20)

        faults: dict[str, Fault] = {
            "server": server,
            "cable": partial(away_s, 10, network.pull_cable, network.plug_in),
            "link": partial(away_s, 10, network.take_down, network.bring_up),
            "udp": partial(away_s, 10, network.block_udp, network.mend),
            "address": address,
            "loss": lossy,
        }
        for worker, fault in itertools.product((CAMERA, MICROPHONE), rogue.ALL):
            faults[f"{worker}: {fault.name}"] = partial(self._worker, worker, fault)
        return faults

    async def _worker(self, worker: str, fault: rogue.Fault) -> None:
        fault.strike(self.inside, await pid_of(self.one, worker))
        await asyncio.sleep(_SETTLE_S)
