"""Scenarios that leave the network alone run at the same time: most of their minutes are spent waiting."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path

    from tests.faults.ground import Ground

    Scenario = Callable[[Ground, Path], Coroutine[object, object, None]]

_STAGGER_S = 3.0  # a start takes two cores for a while
_BUSY = 2  # scenarios with devices that publish: more of them, and two cores leave no figure worth noting


@dataclass(frozen=True, slots=True)
class Kept:
    """A scenario, and whether its devices wait outside of their rooms nearly all of the time."""

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

    def wait(self, scenario: Scenario) -> None:
        """Return when a scenario holds; raise what it raised."""
        self._ground.run(self._wait(scenario))

    def close(self) -> None:
        self._ground.run(self._close())

    async def _wait(self, scenario: Scenario) -> None:
        if not self._running:
            waiting = [each for each in self._scenarios if each.waits]
            busy = [each for each in self._scenarios if not each.waits]
            for number, each in enumerate((*waiting, *busy)):
                self._running[each.scenario] = asyncio.create_task(self._later(number * _STAGGER_S, each))
        await self._running[scenario]

    async def _close(self) -> None:
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _later(self, delay_s: float, kept: Kept) -> None:
        await asyncio.sleep(delay_s)
        folder = self._folder / kept.scenario.__name__
        folder.mkdir()
        async with contextlib.nullcontext() if kept.waits else self._busy:
            await kept.scenario(self._ground, folder)
