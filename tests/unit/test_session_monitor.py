"""Whoever looks after a stay has to let go of it at once."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from device.room.session_monitor import SessionMonitor
from device.telemetry.transport_stats import sample

if TYPE_CHECKING:
    from device.network.probe import Probe
    from device.network.route import Routes
    from device.room.liveness import TransportStats
    from device.room.session import Session

_SOON_S = 5.0


class FakeRoom:
    """Its statistics come when the test says so."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def get_rtc_stats(self) -> Any:
        self.asked.set()
        return await self.answer


class FakeSession(SimpleNamespace):
    async def transport_stats(self) -> TransportStats | None:
        return await sample(self.room)


def looking_after(room: FakeRoom) -> asyncio.Task[None]:
    session = FakeSession(
        room=room, url="ws://x", permitted=True, reconnecting=False, fed=dict, changed=asyncio.Event()
    )
    routes = SimpleNamespace(local_route=None, changed=asyncio.Event())
    monitor = SessionMonitor(
        probe=cast("Probe", None),
        routes=cast("Routes", routes),
        urls=(),
        stall_s=4.0,
        probe_s=2.0,
        on_look=lambda: None,
    )
    return asyncio.create_task(monitor.while_live(cast("Session", session), lambda _: None))


@pytest.mark.parametrize("turns", range(8))
def test_a_cancellation_that_comes_with_the_statistics_is_not_lost(turns: int) -> None:
    """A room that ends answers the last question and ends the vigil in the same moment."""

    async def main() -> None:
        room = FakeRoom()
        looking = looking_after(room)
        await room.asked.wait()
        room.answer.set_result(SimpleNamespace(publisher_stats=()))
        for _ in range(turns):
            await asyncio.sleep(0)
        assert looking.cancel()
        async with asyncio.timeout(_SOON_S):
            await asyncio.wait({looking})
        assert looking.cancelled()
        assert asyncio.all_tasks() == {asyncio.current_task()}  # or the loop tells of each that is destroyed

    asyncio.run(main())
