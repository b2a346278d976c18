"""Nobody watches: nothing is encoded or sent, and a viewer who joins has a picture at once. On a real server."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from tests.server.test_control import call
from tests.server.test_privacy import SLATE, workers
from tests.support import daemon as daemons
from tests.support.commands import command
from tests.support.livekit_server import livekit_server
from tests.support.watcher import watching

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.daemon import Daemon
    from tests.support.livekit_server import Server
    from tests.support.watcher import Watcher

_FIRST_S = 30.0
_PAUSES_S = 60.0  # after 10 s, on a machine that has time
_SILENT_BPS = 10_000
_CLOSED_S = 10.0
CAMERA = ["device.workers.camera"]


def environment(server: Server, room: str, folder: Path, **extra: str) -> dict[str, str]:
    """Return the environment of a daemon that is quick to sleep, without sound unless `extra` has it."""
    runtime = folder / "run"
    runtime.mkdir()
    usual = {
        "RUNTIME_DIRECTORY": str(runtime),
        "DEVICE_LOG__LEVEL": "debug",
        "DEVICE_CAMERA__WHEN_UNWATCHED": "sleep",
        "DEVICE_CAMERA__SLEEP_AFTER_S": "5",
        "DEVICE_MICROPHONE__SOURCE": "off",
    }
    return daemons.environment(server, room, **(usual | extra))


@contextmanager
def unwatched(variables: Mapping[str, str], config: Path, state: str) -> Iterator[Daemon]:
    """Run a daemon, and yield it when its camera does not send; nothing is logged as a fault until the end."""
    with daemons.running(config, variables) as daemon:
        until_sending(daemon, state)
        yield daemon
        assert [line for line in daemon.lines if line["priority"] <= 4] == []


def until_sending(daemon: Daemon, new: str, *, since: int = 0) -> None:
    daemon.event("camera.sending", new=new, since=since, within_s=_PAUSES_S)


def until_closed(daemon: Daemon) -> None:
    """Wait until the worker, and so the device, is closed: it may be at work for a moment longer."""
    give_up_at = time.monotonic() + _CLOSED_S
    while workers(daemon):
        assert time.monotonic() < give_up_at, workers(daemon)
        time.sleep(0.05)


def status(variables: Mapping[str, str]) -> dict[str, Any]:
    result: dict[str, Any] = call(Path(variables["RUNTIME_DIRECTORY"]), "status")["result"]
    return result


def snapshot(variables: Mapping[str, str], folder: Path) -> None:
    written = command("snapshot", folder / "picture.jpg", variables=variables)
    assert written.returncode == 0, written.stderr


def pictures(watcher: Watcher) -> int:
    """Return how many pictures of the camera itself were seen."""
    return sum(each.reading is not None for each in list(watcher.pictures))


async def until_pictures(watcher: Watcher) -> None:
    seen = pictures(watcher)
    await watcher.until(lambda: pictures(watcher) > seen + 10, within_s=_FIRST_S, what="pictures of the camera")


async def first_picture_s(server: Server, room: str, *, number: int) -> float:
    """Join; return the seconds from the subscription to the first decoded picture of the camera."""
    async with watching(server, room, identity=f"viewer-{number}") as watcher:
        await watcher.until(lambda: watcher.pictures, within_s=_FIRST_S, what="a picture")
        await until_pictures(watcher)
        subscribed_at = next(at for event, at in watcher.events if event == "track:device:camera")
        return watcher.pictures[0].at - subscribed_at


def test_nothing_is_sent_while_nobody_watches_and_each_viewer_has_a_picture_at_once(
    server: Server, room: str, config: Path, tmp_path: Path
) -> None:
    more = {"DEVICE_CAMERA__WHEN_UNWATCHED": "pause", "DEVICE_MICROPHONE__SOURCE": "tone"}
    variables = environment(server, room, tmp_path, **more)
    with unwatched(variables, config, "paused") as daemon:
        paused_at = time.monotonic()
        time.sleep(3)  # two samples of the statistics
        found = status(variables)
        camera, microphone = found["streams"]["camera"], found["streams"]["microphone"]
        assert found["state"] == "live"
        assert (camera["state"], camera["reason"], camera["watched"]) == ("paused", "nobody watches", False)
        assert camera["bitrate_bps"] == camera["width"] == 0
        assert microphone["bitrate_bps"] < _SILENT_BPS
        assert microphone["watched"] is None
        assert "  paused: nobody watches, unwatched since 20" in command("status", variables=variables).stdout
        snapshot(variables, tmp_path)
        os.kill(daemon.worker("camera"), signal.SIGKILL)
        mark = len(daemon.lines)
        daemon.event("worker.state", worker="camera", new="live", since=mark)
        daemon.lines[:] = [line for line in daemon.lines if line.get("event") != "worker.restarting"]
        time.sleep(max(0.0, paused_at + 12 - time.monotonic()))  # receiver reports stand still, and that is no stall
        assert status(variables)["streams"]["camera"]["state"] == "paused"

        took = []
        for number in range(2):
            mark = len(daemon.lines)
            took.append(asyncio.run(first_picture_s(server, room, number=number)))
            assert status(variables)["streams"]["camera"]["watched"]
            until_sending(daemon, "paused", since=mark)
        assert not [line for line in daemon.lines if line["event"] == "room.left"]
    assert median(took) < 1.5, took
    assert max(took) < 5, took


def test_it_sleeps_through_a_restart_of_the_server_and_opens_the_camera_for_viewers_and_snapshots(
    room: str, config: Path, tmp_path: Path
) -> None:
    with livekit_server() as server:
        variables = environment(server, room, tmp_path)

        async def watched(daemon: Daemon) -> None:
            async with watching(server, room) as watcher:
                await watcher.until(lambda: watcher.pictures, within_s=_FIRST_S, what="the slate or a picture")
                await until_pictures(watcher)
                assert watcher.attributes("device")["device.camera"] == "live"
            assert workers(daemon) == CAMERA

        with daemons.running(config, variables) as daemon:
            until_sending(daemon, "asleep")
            daemon.event("worker.state", worker="camera", new="asleep")
            until_closed(daemon)
            snapshot(variables, tmp_path)
            until_closed(daemon)
            assert status(variables)["streams"]["camera"]["state"] == "asleep"

            mark = len(daemon.lines)
            server.kill()
            daemon.event("room.left", since=mark)
            server.start()
            daemon.event("device.state", new="live", since=mark, within_s=_FIRST_S)
            until_closed(daemon)
            assert not [line for line in daemon.lines[mark:] if line["event"] == "camera.sending"]

            mark = len(daemon.lines)
            asyncio.run(watched(daemon))
            until_sending(daemon, "asleep", since=mark)
            until_closed(daemon)


def test_privacy_wins_over_viewers_of_a_camera_that_is_asleep(
    server: Server, room: str, config: Path, tmp_path: Path
) -> None:
    variables = environment(server, room, tmp_path)

    async def privacy(state: str) -> None:
        ended = await asyncio.to_thread(command, "privacy", state, variables=variables)
        assert ended.returncode == 0, ended.stderr

    async def scenario(daemon: Daemon) -> None:
        await privacy("on")
        async with watching(server, room) as watcher:
            await watcher.until(lambda: watcher.pictures, within_s=_FIRST_S, what="the slate")
            await asyncio.to_thread(until_sending, daemon, "sending")
            assert {(each.width, each.height) for each in watcher.pictures} == {SLATE}
            assert watcher.attributes("device")["device.camera"] == "privacy"
            assert workers(daemon) == []
            await privacy("off")
            await until_pictures(watcher)
            assert workers(daemon) == CAMERA

    with unwatched(variables, config, "asleep") as daemon:
        asyncio.run(scenario(daemon))
