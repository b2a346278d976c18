"""Two daemons on one machine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.support import daemon as daemons
from tests.support.watcher import watching

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.livekit_server import Server


def test_the_second_of_one_identity_waits_for_the_first_and_says_so(server: Server, room: str, config: Path) -> None:
    async def scenario() -> None:
        variables = daemons.environment(server, room, DEVICE_MICROPHONE__SOURCE="off", DEVICE_RECONNECT__MAX_S="1")
        async with watching(server, room) as watcher:
            with daemons.running(config, variables) as first:
                await watcher.until(lambda: len(watcher.pictures) > 10, within_s=30, what="pictures of the first")
                with daemons.running(config, variables) as second:
                    line = await asyncio.to_thread(second.event, "room.waiting")
                    assert f"(pid {first.pid})" in line["why"]
                    assert "room.identity" in line["why"]
                    await asyncio.sleep(3)
                    assert not [
                        line for line in first.lines if line["event"] in ("room.left", "room.duplicate_identity")
                    ]
                    await asyncio.to_thread(first.stop)
                    await asyncio.to_thread(second.event, "room.state", new="live")
                    before = len(watcher.pictures)
                    await watcher.until(
                        lambda: len(watcher.pictures) > before + 10, within_s=10, what="pictures of the second"
                    )

    asyncio.run(scenario())
