"""A daemon that executes itself again goes on as the device that it was."""

from __future__ import annotations

import asyncio
import json
import sys
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from livekit import api

from tests.faults.rogue import rogue
from tests.support import daemon as daemons
from tests.support.children import living_descendants
from tests.support.watcher import watching

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.livekit_server import Server
    from tests.support.watcher import Watcher

_FIRST_S = 30.0


async def _mute(server: Server, room: str, watcher: Watcher, name: str) -> None:
    publications = watcher.room.remote_participants["device"].track_publications.values()
    sid = next(each.sid for each in publications if each.name == name)
    async with api.LiveKitAPI(server.url, server.api_key, server.api_secret) as operator:
        await operator.room.mute_published_track(
            api.MuteRoomTrackRequest(room=room, identity="device", track_sid=sid, muted=True)
        )


async def _set(variables: dict[str, str], config: Path, change: str) -> None:
    """Change a key until the next restart, as an operator does."""
    command = (sys.executable, "-m", "device", "set", "--config", str(config), change)
    process = await asyncio.create_subprocess_exec(*command, env=variables, stdout=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0


def test_new_workers_in_the_same_process_and_what_was_muted_or_set_stays(
    server: Server, room: str, config: Path
) -> None:
    write = config.write_text

    async def scenario(variables: dict[str, str], tell: Any) -> None:
        async with watching(server, room) as watcher:
            with daemons.running(config, variables) as daemon:

                async def logged(event: str, *, since: int = 0, **fields: Any) -> dict[str, Any]:
                    return await asyncio.to_thread(partial(daemon.event, event, since=since, **fields))

                def in_effect() -> dict[str, Any]:
                    return dict(json.loads((runtime / "config.json").read_text())["values"])

                await watcher.until_received(within_s=_FIRST_S)
                await _set(variables, config, "camera.bitrate_max_bps=700000")
                await logged("config.kept")
                workers = living_descendants(daemon.pid)
                await _mute(server, room, watcher, "microphone")
                await logged("track.muted", track="microphone")
                assert in_effect()["camera.bitrate_max_bps"] == 700_000

                write("[camera]\nfps = 0\n")
                tell(daemon.pid, "again")
                assert "files are invalid" in (await logged("memory.too_high"))["why"]
                assert living_descendants(daemon.pid) == workers

                write("")
                since = len(daemon.lines)
                tell(daemon.pid, "again")
                assert (await logged("memory.executing_again", since=since))["moment"] == "others in the room"
                await logged("daemon.executed_again", since=since)
                await logged("track.state", track="camera", new="published", since=since)
                await logged("track.state", track="microphone", new="muted by the room", since=since)
                assert daemon.process.poll() is None
                assert in_effect()["camera.bitrate_max_bps"] == 700_000
                assert not workers & living_descendants(daemon.pid)
                code, took_s = await asyncio.to_thread(daemon.stop)
                assert code == 0
                assert took_s < 4
                errors = [line for line in daemon.lines[since:] if line["priority"] <= 3]
                # The SDK logs as an error what it recovers from.
                assert not [line for line in errors if line["event"] != "sdk.log"], errors

    with rogue() as inside:
        runtime = inside.folder
        one: Any = SimpleNamespace(variables=daemons.environment(server, room, RUNTIME_DIRECTORY=str(runtime)))
        inside.possess(one)
        asyncio.run(scenario(one.variables, inside.tell))
