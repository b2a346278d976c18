"""An operator mutes a track, or changes permissions: the session continues, and the device reports and follows it."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from livekit import api

from tests.support import daemon as daemons
from tests.support.livekit_server import Server, livekit_server
from tests.support.watcher import Watcher, watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.daemon import Daemon

_FIRST_S = 30.0
_QUIET_S = 5.0  # longer than any limit of a healthy connection


@asynccontextmanager
async def _scene(server: Server, room: str, config: Path) -> AsyncIterator[tuple[Watcher, Daemon, api.LiveKitAPI]]:
    async with (
        watching(server, room) as watcher,
        api.LiveKitAPI(server.url, server.api_key, server.api_secret) as operator,
    ):
        with daemons.running(config, daemons.environment(server, room)) as daemon:
            await _until_live(watcher)
            yield watcher, daemon, operator


async def _until_live(watcher: Watcher) -> None:
    await watcher.until_received(within_s=_FIRST_S)
    await _until_attribute(watcher, state="live")


async def _until_attribute(watcher: Watcher, **expected: str) -> None:
    named = {f"device.{key}": value for key, value in expected.items()}
    await watcher.until(
        lambda: named.items() <= watcher.attributes("device").items(), within_s=10, what=f"attributes {named}"
    )


def _sid(watcher: Watcher, name: str) -> str:
    published = watcher.room.remote_participants["device"].track_publications.values()
    return next(each.sid for each in published if each.name == name)


async def _mute(operator: api.LiveKitAPI, room: str, sid: str, *, muted: bool) -> None:
    await operator.room.mute_published_track(
        api.MuteRoomTrackRequest(room=room, identity="device", track_sid=sid, muted=muted)
    )


async def _allow(operator: api.LiveKitAPI, room: str, **permission: Any) -> None:
    await operator.room.update_participant(
        api.UpdateParticipantRequest(room=room, identity="device", permission=api.ParticipantPermission(**permission))
    )


def _left(daemon: Daemon) -> list[dict[str, Any]]:
    return [line for line in daemon.lines if line["event"] in ("room.left", "room.stalled", "room.task_failed")]


def _pictures_since(watcher: Watcher, at: float) -> int:
    return sum(each.at > at for each in list(watcher.pictures))


def _sound_since(watcher: Watcher, at: float) -> int:
    return sum(each.at > at for each in list(watcher.sound))


def test_a_camera_that_the_room_mutes_stays_published_and_reports_it(server: Server, room: str, config: Path) -> None:
    async def scenario() -> None:
        async with _scene(server, room, config) as (watcher, daemon, operator):
            await _mute(operator, room, _sid(watcher, "camera"), muted=True)
            await _until_attribute(watcher, camera="muted by the room", state="muted", microphone="live")
            muted_at = time.monotonic()
            await asyncio.sleep(_QUIET_S)
            assert not _left(daemon)
            assert _pictures_since(watcher, muted_at + 0.5) == 0
            assert _sound_since(watcher, muted_at + 0.5) > 300  # blocks of 10 ms
            await _mute(operator, room, _sid(watcher, "camera"), muted=False)
            unmuted_at = time.monotonic()
            await _until_attribute(watcher, camera="live", state="live")
            await watcher.until(
                lambda: _pictures_since(watcher, unmuted_at) > 10, within_s=5, what="the picture after unmuting"
            )
            assert not _left(daemon)
            assert [line["event"] for line in daemon.lines if line["event"].startswith("track.mute")] == ["track.muted"]

    asyncio.run(scenario())


def test_a_microphone_that_the_room_mutes_is_reported(server: Server, room: str, config: Path) -> None:
    async def scenario() -> None:
        async with _scene(server, room, config) as (watcher, daemon, operator):
            await _mute(operator, room, _sid(watcher, "microphone"), muted=True)
            await _until_attribute(watcher, microphone="muted by the room", state="muted", camera="live")
            await asyncio.to_thread(daemon.event, "track.muted", track="microphone")
            muted_at = time.monotonic()
            await asyncio.sleep(_QUIET_S)
            assert not _left(daemon)
            assert _pictures_since(watcher, muted_at) > 60
            await _mute(operator, room, _sid(watcher, "microphone"), muted=False)
            await _until_attribute(watcher, microphone="live", state="live")

    asyncio.run(scenario())


def test_a_mute_lasts_across_a_rejoin_until_the_room_unmutes(room: str, config: Path) -> None:
    async def scenario(own: Server) -> None:
        with daemons.running(config, daemons.environment(own, room)) as daemon:
            async with (
                watching(own, room) as watcher,
                api.LiveKitAPI(own.url, own.api_key, own.api_secret) as operator,
            ):
                await _until_live(watcher)
                for name in ("camera", "microphone"):
                    await _mute(operator, room, _sid(watcher, name), muted=True)
                await _until_attribute(watcher, camera="muted by the room", microphone="muted by the room")
            since = len(daemon.lines)
            own.kill()
            await asyncio.to_thread(daemon.event, "room.state", new="waiting", since=since, within_s=60)
            own.start()
            async with (
                watching(own, room, identity="after") as watcher,
                api.LiveKitAPI(own.url, own.api_key, own.api_secret) as operator,
            ):
                await _until_attribute(watcher, camera="muted by the room", state="muted")
                await asyncio.sleep(_QUIET_S)
                assert not watcher.pictures
                assert not any(abs(each.samples).max() > 300 for each in list(watcher.sound))
                assert all(
                    each.muted for each in watcher.room.remote_participants["device"].track_publications.values()
                )
                assert len([line for line in daemon.lines[since:] if line["event"] == "room.left"]) == 1
                for name in ("camera", "microphone"):
                    await _mute(operator, room, _sid(watcher, name), muted=False)
                await _until_live(watcher)

    with livekit_server(prefer=(0, 0)) as own:
        asyncio.run(scenario(own))


def test_the_permission_to_publish_the_camera_is_revoked_and_granted_again(
    server: Server, room: str, config: Path
) -> None:
    async def scenario() -> None:
        async with _scene(server, room, config) as (watcher, daemon, operator):
            await _allow(
                operator,
                room,
                can_publish=True,
                can_publish_sources=[api.TrackSource.MICROPHONE],
                can_update_metadata=True,
            )
            await _until_attribute(watcher, camera="forbidden", state="forbidden", microphone="live")
            taken_at = time.monotonic()
            await asyncio.sleep(_QUIET_S)
            assert not _left(daemon)
            assert _sound_since(watcher, taken_at) > 300
            assert _pictures_since(watcher, taken_at + 1) == 0
            await _allow(operator, room, can_publish=True, can_update_metadata=True)
            given_at = time.monotonic()
            await watcher.until(
                lambda: _pictures_since(watcher, given_at) > 10, within_s=5, what="the picture after it is allowed"
            )
            await _until_attribute(watcher, camera="live", state="live")
            assert not _left(daemon)
            tracks = [event for event, _ in watcher.events if event == "track:device:microphone"]
            assert len(tracks) == 1

    asyncio.run(scenario())


def test_without_the_right_to_set_attributes_none_is_set_and_one_line_is_logged(
    server: Server, room: str, config: Path
) -> None:
    async def scenario() -> None:
        async with _scene(server, room, config) as (watcher, daemon, operator):
            await _allow(operator, room, can_publish=True)
            await asyncio.to_thread(daemon.event, "room.attributes_not_granted")
            await _mute(operator, room, _sid(watcher, "camera"), muted=True)
            await asyncio.to_thread(daemon.event, "track.muted", track="camera")
            await asyncio.sleep(_QUIET_S)
            assert watcher.attributes("device")["device.camera"] == "live"
            assert len([line for line in daemon.lines if line["event"] == "room.attributes_not_granted"]) == 1
            assert not [line for line in daemon.lines if line["event"] == "sdk.log"]
            await _allow(operator, room, can_publish=True, can_update_metadata=True)
            await _until_attribute(watcher, camera="muted by the room")

    asyncio.run(scenario())
