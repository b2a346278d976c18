"""A server that is stopped for a while."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.fleet import Fleet
    from tests.faults.ground import Ground
    from tests.faults.moments import Moment

_GIVEN_UP = ("SERVER_AWAY", "SERVER_RETURNED", "SDK_RECONNECTING", "DELIVERY_STALLED")


def left(*reasons: str) -> str:
    """Return the log events with which a daemon reports that it left a Room for one of these reasons."""
    return "|".join(f"room.left({reason})" for reason in reasons)


_SDK_RECONNECT_S = 15.0  # from shorter outages the SDK may recover by itself, before a new Room is made

SERVER_GONE = left(*_GIVEN_UP)
LINK_GONE = left(*_GIVEN_UP, "ADDRESS_CHANGED")


def server_killed(ground: Ground, devices: Fleet, *, away_s: float, times: int) -> None:
    async def strike() -> Moment:
        ground.server.kill()
        await asyncio.sleep(away_s)
        return await ground.server.back()

    events = SERVER_GONE if away_s > _SDK_RECONNECT_S else f"{SERVER_GONE}|room.sdk_state(reconnecting)"
    measured = ground.run(devices.run_fault(strike, times=times, within_s=40, expects=[events]))
    ground.record(
        f"server SIGKILL, back after {away_s} s",
        measured,
        must="video <= 4 s after the port is open, p95",
        ok=measured.video.p(95) <= 4,
    )
