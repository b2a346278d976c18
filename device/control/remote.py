"""Remote control, which costs nothing until the configuration allows a participant of the room to ask for something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from livekit import rtc

    from device.control.caller import Caller
    from device.control.performer import Performer
    from device.control.registry import Call
    from device.control.room_interface import RoomInterface


class RemoteControl:
    """Makes the interface in the room when it is needed. It then stays, and each new Room gets it."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.performer: Callable[[], Performer] | None = None  # it is there before the first join
        self._tasks = tasks
        self._interface: RoomInterface | None = None
        self._calls: set[asyncio.Task[Any]] = set()

    def of(self, allow: Sequence[dict[str, Any]]) -> Callable[[rtc.Room], None] | None:
        """Return what a Room gets after the join, for the rules of the configuration; None if there are none."""
        if not allow:
            return None
        from device.control.permission import rules_of
        from device.control.room_interface import RoomInterface

        if self._interface is None:
            self._interface = RoomInterface(self._perform, start=self._start)
        self._interface.rules = rules_of(allow)
        return self._interface.serve

    async def _perform(self, call: Call[Any], caller: Caller) -> object:
        assert self.performer
        return await self.performer().perform(call, caller=caller)

    def _start(self, call: Any, name: str) -> asyncio.Task[Any]:
        task = self._tasks.create_task(call, name=name)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return task

    async def before_leaving(self, why: str) -> None:
        """Answer what is under way: the device leaves its room, on purpose."""
        if self._interface is not None:
            await self._interface.before_leaving(why)

    def cancel(self) -> None:
        """End all calls that are under way."""
        for each in tuple(self._calls):
            each.cancel()
