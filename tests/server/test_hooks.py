"""The commands of [hooks]: run when the first viewer comes, and when the last one has left."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from tests.support import daemon as daemons
from tests.support.watcher import watching

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.livekit_server import Server

_FIRST_S, _LEFT_S = 30.0, 40.0


@pytest.mark.timeout(120)
def test_a_lamp_follows_the_viewers(server: Server, room: str, config: Path, tmp_path: Path) -> None:
    lamp = tmp_path / "lamp"
    variables = daemons.environment(
        server,
        room,
        DEVICE_CAMERA__WHEN_UNWATCHED="pause",
        DEVICE_COMMANDS__LAMP__RUN=json.dumps(["/bin/sh", "-c", f"echo {{state}} >>{lamp}"]),
        DEVICE_COMMANDS__LAMP__ARGUMENTS=json.dumps({"state": ["on", "off"]}),
        DEVICE_HOOKS__WATCHED="lamp state=on",
        DEVICE_HOOKS__UNWATCHED="lamp state='off'",
    )

    async def scenario() -> None:
        with daemons.running(config, variables) as daemon:

            async def called(hook: str, since: int, within_s: float) -> int:
                found = await asyncio.to_thread(
                    daemon.event, "control.call", operation="run", caller=f"hook {hook}", since=since, within_s=within_s
                )
                return daemon.lines.index(found) + 1

            mark = await called("unwatched", 0, _FIRST_S)
            async with watching(server, room) as watcher:
                mark = await called("watched", mark, _FIRST_S)
                await watcher.until(lambda: watcher.pictures, within_s=_FIRST_S, what="a picture")
            await called("unwatched", mark, _LEFT_S)
            assert [line for line in daemon.lines if line["event"] == "hook.failed"] == []

    asyncio.run(scenario())
    assert lamp.read_text() == "off\non\noff\n"
