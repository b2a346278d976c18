"""What happens to a camera while nobody watches: orders of the room and faults. On a real server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

from livekit import api

from tests.server.test_control import call
from tests.server.test_room_orders import _allow, _mute, _sid, _until_attribute
from tests.server.test_unwatched import (
    _FIRST_S,
    environment,
    pictures,
    status,
    until_closed,
    until_pictures,
    until_sending,
    unwatched,
)
from tests.support import daemon as daemons
from tests.support.commands import command
from tests.support.films import FPS, film
from tests.support.watcher import watching

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.daemon import Daemon
    from tests.support.livekit_server import Server

_QUIET_S = 2.0
_LEFT_S = 60.0
PAUSE = {"DEVICE_CAMERA__WHEN_UNWATCHED": "pause"}
TWO_CAMERAS = """
[camera]
when_unwatched = "pause"
[cameras.garden]
source = "pattern"
width = 480
height = 270
fps = 15
"""


def operator(server: Server) -> api.LiveKitAPI:
    return api.LiveKitAPI(server.url, server.api_key, server.api_secret)


def stream(variables: Mapping[str, str], name: str = "camera") -> dict[str, Any]:
    found: dict[str, Any] = status(variables)["streams"][name]
    return found


def until_watched(variables: Mapping[str, str]) -> None:
    """Wait until it is certain that a viewer watches, which the next statistics may say."""
    give_up_at = time.monotonic() + _LEFT_S
    while not stream(variables)["watched"]:
        assert time.monotonic() < give_up_at
        time.sleep(0.2)


def changes(daemon: Daemon, since: int = 0) -> list[tuple[str, bool]]:
    lines = [line for line in daemon.lines[since:] if line["event"] == "camera.sending"]
    return [(line["new"], line["watched"]) for line in lines]


def expect_no_faults_but(daemon: Daemon, *events: str) -> None:
    """Forget the lines of these events, so that `unwatched` does not count them."""
    daemon.lines[:] = [line for line in daemon.lines if line.get("event") not in events]


def test_a_camera_that_sends_to_nobody_beside_one_that_pauses_is_not_sent_either_and_no_unit_is_missed(
    server: Server, room: str, config: Path, tmp_path: Path
) -> None:
    config.write_text(TWO_CAMERAS)
    variables = environment(server, room, tmp_path)
    del variables["DEVICE_CAMERA__WHEN_UNWATCHED"], variables["DEVICE_CAMERA__SLEEP_AFTER_S"]

    async def watched() -> None:
        async with watching(server, room) as watcher:
            await watcher.until(
                lambda: {each.height for each in watcher.pictures} >= {270, 720}, within_s=_FIRST_S, what="both cameras"
            )
            await asyncio.sleep(5)  # as many samples as it takes to miss units

    with unwatched(variables, config, "paused") as daemon:
        give_up_at = time.monotonic() + _LEFT_S
        while (garden := stream(variables, "garden"))["bitrate_bps"]:  # it is known for each camera by itself
            assert time.monotonic() < give_up_at, garden
            time.sleep(0.5)
        assert (garden["state"], garden["watched"]) == ("live", None)
        asyncio.run(watched())
        assert [line for line in daemon.lines if line["event"] in ("camera.units_lost", "room.left")] == []


def test_a_mute_while_it_is_paused_lasts_for_the_viewer_who_comes_then(
    server: Server, room: str, config: Path, tmp_path: Path
) -> None:
    variables = environment(server, room, tmp_path, **PAUSE)

    async def scenario(daemon: Daemon) -> None:
        async with operator(server) as asking:
            device = await asking.room.get_participant(api.RoomParticipantIdentity(room=room, identity="device"))
            await _mute(asking, room, device.tracks[0].sid, muted=True)
            await asyncio.to_thread(daemon.event, "track.muted", track="camera")
            assert stream(variables)["state"] == "paused"
            async with watching(server, room) as watcher:
                await _until_attribute(watcher, camera="muted by the room", state="muted")
                await asyncio.sleep(_QUIET_S)
                assert not watcher.pictures
                await _mute(asking, room, _sid(watcher, "camera"), muted=False)
                await until_pictures(watcher)
                await _until_attribute(watcher, camera="live", state="live")
                await asyncio.to_thread(until_watched, variables)

    with unwatched(variables, config, "paused") as daemon:
        asyncio.run(scenario(daemon))
        assert not [line for line in daemon.lines if line["event"] == "room.left"]
        expect_no_faults_but(daemon, "track.muted", "track.unmuted")


def test_privacy_while_it_is_paused_shows_the_slate_to_the_viewer_who_comes_then(
    server: Server, room: str, config: Path, tmp_path: Path
) -> None:
    variables = environment(server, room, tmp_path, **PAUSE)

    def privacy(state: str) -> None:
        ended = command("privacy", state, variables=variables)
        assert ended.returncode == 0, ended.stderr

    async def scenario() -> None:
        async with watching(server, room) as watcher:
            await watcher.until(lambda: len(watcher.pictures) > 1, within_s=_FIRST_S, what="the slate")
            assert not pictures(watcher)
            await _until_attribute(watcher, camera="privacy")
            await asyncio.to_thread(privacy, "off")
            await until_pictures(watcher)

    with unwatched(variables, config, "paused") as daemon:
        privacy("on")
        until_closed(daemon)
        asyncio.run(scenario())
        expect_no_faults_but(daemon, "privacy.on", "privacy.off")


def test_a_camera_that_may_not_be_published_pauses_and_its_next_publication_is_no_viewer(
    server: Server, room: str, config: Path, tmp_path: Path
) -> None:
    lamp = tmp_path / "lamp"
    variables = environment(
        server,
        room,
        tmp_path,
        **PAUSE,
        DEVICE_COMMANDS__LAMP__RUN=json.dumps(["/bin/sh", "-c", f"echo {{state}} >>{lamp}"]),
        DEVICE_COMMANDS__LAMP__ARGUMENTS=json.dumps({"state": ["on", "off"]}),
        DEVICE_HOOKS__WATCHED="lamp state=on",
        DEVICE_HOOKS__UNWATCHED="lamp state=off",
    )

    async def scenario(daemon: Daemon) -> None:
        async with operator(server) as asking:
            await asyncio.to_thread(daemon.event, "device.state", new="live", within_s=_LEFT_S)
            await _allow(asking, room, can_publish=True, can_publish_sources=[api.TrackSource.MICROPHONE])
            await asyncio.to_thread(daemon.event, "track.state", track="camera", new="forbidden", within_s=_LEFT_S)
            await asyncio.to_thread(until_sending, daemon, "paused")
            mark = len(daemon.lines)
            await _allow(asking, room, can_publish=True, can_update_metadata=True)
            await asyncio.to_thread(
                daemon.event, "track.state", track="camera", new="published", since=mark, within_s=_LEFT_S
            )
            await asyncio.to_thread(until_sending, daemon, "paused", since=mark)
            assert changes(daemon, mark) == [("sending", False), ("paused", False)]
            assert lamp.read_text() == "off\n"
            async with watching(server, room) as watcher:
                await until_pictures(watcher)

    with daemons.running(config, variables) as daemon:
        asyncio.run(scenario(daemon))
        assert not [line for line in daemon.lines if line["event"] == "room.left"]


def test_a_camera_that_breaks_while_it_is_paused_is_reported_and_sleeps_when_it_works_again(
    server: Server, room: str, config: Path, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    film(clip, times=range(FPS))
    variables = environment(
        server,
        room,
        tmp_path,
        DEVICE_CAMERA__SOURCE="file",
        DEVICE_CAMERA__PATH=str(clip),
        DEVICE_CAMERA__ENCODER="x264",
    )
    with unwatched(variables, config, "paused") as daemon:
        clip.rename(tmp_path / "away.mp4")
        os.kill(daemon.worker("camera"), signal.SIGKILL)
        mark = len(daemon.lines)
        daemon.event("worker.state", worker="camera", new="stalled", since=mark)
        time.sleep(6)  # longer than `sleep_after_s`
        found = status(variables)
        assert (found["state"], found["streams"]["camera"]["state"]) == ("recovering", "stalled")
        assert found["streams"]["camera"]["reason"]
        assert changes(daemon, mark) == []
        (tmp_path / "away.mp4").rename(clip)
        until_sending(daemon, "asleep", since=mark)
        daemon.event("worker.state", worker="camera", new="asleep", since=mark)
        assert stream(variables)["state"] == "asleep"
        assert status(variables)["state"] == "live"
        expect_no_faults_but(daemon, "worker.restarting")


def test_a_worker_that_dies_during_a_snapshot_of_a_camera_that_is_asleep(
    server: Server, room: str, config: Path, tmp_path: Path
) -> None:
    variables = environment(server, room, tmp_path)

    async def scenario(daemon: Daemon) -> None:
        mark = len(daemon.lines)
        asking = asyncio.create_task(asyncio.to_thread(call, tmp_path / "run", "snapshot"))
        spawned = await asyncio.to_thread(daemon.event, "worker.spawned", worker="camera", since=mark)
        os.kill(spawned["pid"], signal.SIGKILL)
        await asking
        await asyncio.to_thread(daemon.event, "worker.state", worker="camera", new="live", since=mark)
        await asyncio.to_thread(daemon.event, "worker.state", worker="camera", old="live", new="asleep", since=mark)
        await asyncio.to_thread(until_closed, daemon)
        async with watching(server, room) as watcher:
            await until_pictures(watcher)

    with unwatched(variables, config, "asleep") as daemon:
        until_closed(daemon)
        asyncio.run(scenario(daemon))
        expect_no_faults_but(daemon, "worker.restarting", "control.call")


def test_a_file_that_is_passed_through_is_not_sent_while_nobody_watches_and_a_viewer_has_the_newest_picture(
    server: Server, room: str, config: Path, tmp_path: Path
) -> None:
    path = film(tmp_path / "film.mp4", gop=10_000, times=range(20 * FPS))  # one key frame in 20 s
    source = {"SOURCE": "file", "PATH": path, "ENCODER": "copy"}
    variables = environment(
        server, room, tmp_path, **PAUSE, **{f"DEVICE_CAMERA__{key}": value for key, value in source.items()}
    )

    async def scenario() -> None:
        async with watching(server, room) as watcher:
            await until_pictures(watcher)
            seen = [each for each in watcher.pictures if each.reading]
            subscribed_at = next(at for event, at in watcher.events if event == "track:device:camera")
            assert seen[0].at - subscribed_at < 5
            assert seen[0].epoch_s - seen[0].user_timestamp_us / 1e6 < 1

    with unwatched(variables, config, "paused") as daemon:
        time.sleep(_QUIET_S)
        assert stream(variables)["bitrate_bps"] == 0
        sent = [line for line in daemon.lines if line["event"] == "camera.sent"]
        asyncio.run(scenario())
        assert sent
