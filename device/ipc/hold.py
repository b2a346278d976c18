"""What interrupts a supervisor: a hold, during which no worker runs, and events that end what it waits for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from device.ipc.worker_state import WorkerState

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK_S = 10.0
_OVER = {WorkerState.PRIVACY: "privacy is over", WorkerState.ASLEEP: "the camera may be watched"}


class Hold:
    """Whether a supervisor may run a worker. It waits in `pause`, and `paused` tells when its last one has ended.

    There may be several reasons, each with a state; the state of the first one in `_OVER` is shown.
    """

    def __init__(self) -> None:
        self._states: set[WorkerState] = set()
        self._paused, self._ended = asyncio.Event(), asyncio.Event()

    @property
    def active(self) -> bool:
        return bool(self._states)

    @property
    def state(self) -> WorkerState:
        """The state of the worker because of the hold."""
        return next(each for each in _OVER if each in self._states)

    @property
    def why_over(self) -> str:
        """What starts the next worker, for operators."""
        return _OVER[self.state]

    def begin(self, state: WorkerState) -> None:
        self._states.add(state)
        self._ended.clear()

    def end(self, state: WorkerState) -> bool:
        """End the hold for one reason; return whether that was the last one."""
        if state not in self._states:
            return False
        self._states.remove(state)
        if not self._states:
            self._paused.clear()
            self._ended.set()
        return not self._states

    def has(self, state: WorkerState) -> bool:
        return state in self._states

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
