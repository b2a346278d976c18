"""Two daemons on one machine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from livekit import api

from tests.support import daemon as daemons
from tests.support.watcher import watching

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.livekit_server import Server


def test_a_second_daemon_with_the_same_identity_waits_for_the_first(server: Server, room: str, config: Path) -> None:
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


def test_a_device_with_a_hidden_token_waits_for_another_one(
    server: Server, room: str, config: Path, tmp_path: Path
) -> None:
    def token(*, hidden: bool) -> str:
        made = api.AccessToken(server.api_key, server.api_secret).with_identity("device")
        return made.with_grants(api.VideoGrants(room_join=True, room=room, hidden=hidden)).to_jwt()

    (tmp_path / "token").write_text(token(hidden=True))
    variables = daemons.environment(
        server,
        room,
        DEVICE_CREDENTIALS__API_KEY="",
        DEVICE_CREDENTIALS__API_SECRET="",
        DEVICE_CREDENTIALS__TOKEN_FILE="token",
        DEVICE_MICROPHONE__SOURCE="off",
        DEVICE_RECONNECT__MAX_S="1",
    )
    with daemons.running(config, variables) as daemon:
        assert "hidden" in daemon.event("room.waiting")["why"]
        assert not [line for line in daemon.lines if line.get("new") == "live" and line["event"] == "room.state"]
        (tmp_path / "token").write_text(token(hidden=False))
        daemon.event("room.state", new="live")
