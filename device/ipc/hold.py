"""What interrupts a supervisor: a hold, during which no worker runs, and events that end what it waits for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK_S = 10.0


class Hold:
    """Whether a supervisor may run a worker. It waits in `pause`, and `paused` tells when its last one has ended."""

    def __init__(self) -> None:
        self.active = False
        self._paused, self._ended = asyncio.Event(), asyncio.Event()

    def begin(self) -> None:
        self.active = True
        self._ended.clear()

    def end(self) -> None:
        self.active = False
        self._paused.clear()
        self._ended.set()

    async def paused(self) -> None:
        """Wait until no worker runs."""
        await self._paused.wait()

    async def pause(self, on_look: Callable[[], None]) -> None:
        """Wait for the end of the hold; call `on_look` each few seconds."""
        while self.active:
            on_look()
            self._paused.set()
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._ended.wait()
            except TimeoutError:
                continue


async def done_before(future: asyncio.Future[Any], event: asyncio.Event, *, within_s: float | None = None) -> bool:
    """Wait for a future or an event; return whether the future is done."""
    happened = asyncio.create_task(event.wait(), name="interruption")
    try:
        await asyncio.wait({future, happened}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        happened.cancel()
    return future.done()
