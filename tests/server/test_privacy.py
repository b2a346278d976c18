"""Privacy: nothing is captured, viewers see a slate and hear silence, and the next process begins with that."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.server.test_control import call
from tests.support import daemon as daemons
from tests.support.children import living_descendants
from tests.support.commands import command
from tests.support.watcher import watching

if TYPE_CHECKING:
    from tests.support.daemon import Daemon
    from tests.support.livekit_server import Server
    from tests.support.watcher import Watcher

_FIRST_S = 30.0
SLATE = (640, 360)


def workers(daemon: Daemon) -> list[str]:
    """Return the modules that run in child processes and capture."""
    found = []
    for pid in living_descendants(daemon.pid):
        with contextlib.suppress(OSError):  # it has just ended
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            found += [each for each in words if each.startswith("device.workers.") and each != "device.workers.slate"]
    return sorted(found)


async def until_private(watcher: Watcher) -> None:
    """Wait for the attributes, for two pictures of the slate, and for half a second of silence."""

    def private() -> bool:
        attributes = watcher.attributes("device")
        return {attributes.get(f"device.{each}") for each in ("camera", "microphone")} == {"privacy"}

    await watcher.until(private, within_s=_FIRST_S, what="the attributes")
    seen = len(watcher.pictures)
    await watcher.until(
        lambda: [(each.width, each.height) for each in list(watcher.pictures)[seen:]].count(SLATE) >= 2,
        within_s=_FIRST_S,
        what="the slate",
    )
    mark = time.monotonic()
    await asyncio.sleep(1)
    assert all(each.reading is None for each in watcher.pictures if each.at > mark)
    loudest = max((int(abs(each.samples).max()) for each in watcher.sound if each.at > mark), default=0)
    assert loudest < 10


def test_nothing_is_captured_until_it_is_turned_off_also_by_the_next_process(
    server: Server, room: str, config: Path, tmp_path: Path
) -> None:
    runtime, state = tmp_path / "run", tmp_path / "state"
    runtime.mkdir()
    state.mkdir()
    variables = daemons.environment(
        server, room, RUNTIME_DIRECTORY=str(runtime), STATE_DIRECTORY=str(state), DEVICE_LOG__LEVEL="debug"
    )

    def run(*arguments: str) -> str:
        ended = command(*arguments, variables=variables)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    async def scenario() -> None:
        async with watching(server, room) as watcher:
            with daemons.running(config, variables) as daemon:
                await watcher.until_received(within_s=_FIRST_S)
                said = await asyncio.to_thread(run, "privacy", "on", "--local")
                assert said == "privacy is on for all\n"
                assert workers(daemon) == []
                assert json.loads((state / "privacy.json").read_text()) == {"*": "local"}
                await until_private(watcher)
                status = json.loads(await asyncio.to_thread(run, "status", "--json"))
                assert status["state"] == "live"
                assert {each["state"] for each in status["streams"].values()} == {"privacy"}
                refused = await asyncio.to_thread(call, runtime, "restart", stream="camera")
                assert refused == {"error": "privacy is on for camera: it has no worker"}
                refused = await asyncio.to_thread(call, runtime, "snapshot")
                assert refused == {"error": "camera has no picture: its state is privacy"}

                mark = len(daemon.lines)
                await asyncio.to_thread(run, "rejoin")
                await asyncio.to_thread(daemon.event, "device.state", new="live", since=mark)
                await until_private(watcher)
                assert workers(daemon) == []
                await asyncio.to_thread(daemon.stop, signal.SIGKILL)

            with daemons.running(config, variables) as daemon:
                await asyncio.to_thread(daemon.event, "privacy.on", streams="all")
                await asyncio.to_thread(daemon.event, "device.state", new="live")
                await until_private(watcher)
                assert workers(daemon) == []
                spawned = [line["worker"] for line in daemon.lines if line["event"] == "worker.spawned"]
                assert spawned == []
                faults = [line for line in daemon.lines if line["priority"] <= 4 and line["event"] != "privacy.on"]
                assert faults == []

                said = await asyncio.to_thread(run, "privacy", "off")
                assert said == "privacy is off\n"
                seen = len(watcher.pictures)
                await watcher.until(
                    lambda: sum(each.reading is not None for each in list(watcher.pictures)[seen:]) > 10,
                    within_s=_FIRST_S,
                    what="pictures of the camera",
                )
                await watcher.until(
                    lambda: watcher.attributes("device").get("device.camera") == "live", within_s=5, what="live"
                )
                assert json.loads((state / "privacy.json").read_text()) == {}

    asyncio.run(scenario())


def test_a_damaged_file_starts_no_worker(config: Path, tmp_path: Path) -> None:
    (tmp_path / "privacy.json").write_text('{"camera": "lo')
    variables = os.environ | daemons.SYNTHETIC | daemons.SERVERLESS | {"STATE_DIRECTORY": str(tmp_path)}
    variables |= {"DEVICE_LOG__LEVEL": "debug"}
    with daemons.running(config, variables) as daemon:
        daemon.event("privacy.unreadable", why="it is malformed")
        daemon.until(lambda line: line["event"].startswith("room."), within_s=20)
        assert workers(daemon) == []
        assert not [line for line in daemon.lines if line["event"] == "worker.spawned"]
        assert daemon.stop()[0] == 0
