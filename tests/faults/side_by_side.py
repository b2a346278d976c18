"""Scenarios that leave the network alone run at the same time: most of their minutes are spent waiting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from pathlib import Path

    from tests.faults.ground import Ground

    Scenario = Callable[[Ground, Path], Coroutine[object, object, None]]

_STAGGER_S = 3.0  # a start takes two cores for a while


class SideBySide:
    """Starts the scenarios of all selected tests; each test waits for its own."""

    def __init__(self, ground: Ground, folder: Path, scenarios: Sequence[Scenario]) -> None:
        self._ground = ground
        self._folder = folder
        self._scenarios = scenarios
        self._running: dict[Scenario, asyncio.Task[None]] = {}

    def wait(self, scenario: Scenario) -> None:
        """Return when a scenario holds; raise what it raised."""
        self._ground.run(self._wait(scenario))

    def close(self) -> None:
        self._ground.run(self._close())

    async def _wait(self, scenario: Scenario) -> None:
        if not self._running:
            for number, each in enumerate(self._scenarios):
                folder = self._folder / each.__name__
                folder.mkdir()
                self._running[each] = asyncio.create_task(_later(number * _STAGGER_S, each(self._ground, folder)))
        await self._running[scenario]

    async def _close(self) -> None:
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)


async def _later(delay_s: float, scenario: Awaitable[None]) -> None:
    await asyncio.sleep(delay_s)
    await scenario
