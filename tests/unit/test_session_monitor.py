"""A session's monitor and sampler end at once when they are cancelled."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from device.room.session_monitor import SessionMonitor
from device.telemetry.sampler import Sampler

if TYPE_CHECKING:
    from livekit import rtc

    from device.network.probe import Probe
    from device.network.route import Routes
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


def sampled_track() -> Any:
    async def get_stats() -> list[object]:
        return []

    return SimpleNamespace(fed=0, track=SimpleNamespace(name="camera", get_stats=get_stats))


async def monitored(room: FakeRoom) -> None:
    """Sample a room's statistics and watch the session, as a session does."""
    sampler = Sampler(cast("rtc.Room", room), lambda: [sampled_track()])
    session = SimpleNamespace(
        sampler=sampler, url="ws://x", permitted=True, reconnecting=False, changed=asyncio.Event()
    )
    routes = SimpleNamespace(local_route=None, changed=asyncio.Event())
    monitor = SessionMonitor(
        probe=cast("Probe", None),
        routes=cast("Routes", routes),
        urls=(),
        stall_s=4.0,
        probe_s=2.0,
        on_step=lambda: None,
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sampler.run())
        tasks.create_task(monitor.while_live(cast("Session", session), lambda _: None))


@pytest.mark.parametrize("turns", range(8))
def test_a_cancellation_that_comes_with_the_statistics_is_not_lost(turns: int) -> None:
    """A room that ends answers the last query and ends the session in the same moment."""

    async def main() -> None:
        room = FakeRoom()
        watching = asyncio.create_task(monitored(room))
        await room.asked.wait()
        room.answer.set_result(SimpleNamespace(publisher_stats=()))
        for _ in range(turns):
            await asyncio.sleep(0)
        assert watching.cancel()
        async with asyncio.timeout(_SOON_S):
            await asyncio.wait({watching})
        assert watching.cancelled()
        assert asyncio.all_tasks() == {asyncio.current_task()}  # or the loop logs each that is destroyed

    asyncio.run(main())
