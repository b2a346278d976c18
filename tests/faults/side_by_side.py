"""Scenarios that do not affect the network run at the same time, because they wait for most of their minutes."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from tests.faults.ground import Ground

    Scenario = Callable[[Ground, Path], Coroutine[object, object, None]]

_STAGGER_S = 3.0  # a start uses two cores for a while
_BUSY = 2  # scenarios with devices that publish: with more of them, two cores give no useful figures


@dataclass(frozen=True, slots=True)
class Kept:
    """A scenario, and whether its devices are outside of their rooms for nearly all of the time."""

    scenario: Scenario
    waits: bool = False


class SideBySide:
    """Starts the scenarios of all selected tests; each test waits for its own."""

    def __init__(self, ground: Ground, folder: Path, scenarios: Sequence[Kept]) -> None:
        self._ground = ground
        self._folder = folder
        self._scenarios = scenarios
        self._busy = asyncio.Semaphore(_BUSY)
        self._running: dict[Scenario, asyncio.Task[None]] = {}
        self._waited: set[Scenario] = set()

    def wait(self, scenario: Scenario) -> None:
        """Wait until a scenario holds; raise its error."""
        self._ground.run(self._wait(scenario))

    def close(self) -> None:
        self._ground.run(self._close())

    async def _wait(self, scenario: Scenario) -> None:
        if not self._running:
            waiting = [each for each in self._scenarios if each.waits]
            busy = [each for each in self._scenarios if not each.waits]
            for number, each in enumerate((*waiting, *busy)):
                self._running[each.scenario] = asyncio.create_task(self._later(number * _STAGGER_S, each))
        if scenario in self._waited:  # it did not hold, and runs once more
            self._running[scenario] = asyncio.create_task(self._later(0.0, Kept(scenario, waits=True)))
        self._waited.add(scenario)
        await self._running[scenario]

    async def _close(self) -> None:
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _later(self, delay_s: float, kept: Kept) -> None:
        await asyncio.sleep(delay_s)
        folder = Path(tempfile.mkdtemp(prefix=f"{kept.scenario.__name__.strip('_')}-", dir=self._folder))
        async with contextlib.nullcontext() if kept.waits else self._busy:
            await kept.scenario(self._ground, folder)
