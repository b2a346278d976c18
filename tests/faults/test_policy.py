"""Sessions that an operator, another device or the device's own token ends."""

from __future__ import annotations

import asyncio
import datetime
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from livekit import api

from tests.faults.device import SILENT, Device, device
from tests.faults.figures import counted
from tests.faults.fleet import Measured
from tests.faults.moments import Moment
from tests.faults.recovery import first_picture, picture_after, until_logged
from tests.faults.servers import node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.faults.ground import Ground
    from tests.faults.side_by_side import SideBySide
    from tests.support.livekit_server import Server

_QUIET_S = 20.0  # how long to check that there is no attempt
_TWINS_S = 180.0
_AWAY_S = 5.0
_ME = "device"
# The server allows a minute of leeway: this token is valid for a quarter of it.
_NEARLY_EXPIRED = datetime.timedelta(seconds=-45)
_EXPIRED_FOR_SURE_S = 20.0
_NO_KEY = {"DEVICE_CREDENTIALS__API_KEY": "", "DEVICE_CREDENTIALS__API_SECRET": ""}


async def _removed(ground: Ground, folder: Path) -> None:
    async with _publishing(ground, folder) as one, _operator(ground.server) as operator:
        mark = one.mark()
        await operator.room.remove_participant(api.RoomParticipantIdentity(room=one.room, identity=_ME))
        line = await until_logged(one, mark, "room.waiting")
        await asyncio.sleep(_QUIET_S)
        delay_s = line.get("delay_s", 0)
        joins = len(one.since(mark, "room.joining"))
        ground.table.record(
            "removed by an operator",
            {"times": 1, "events seen": _events(one, mark, f"delay_s {delay_s}; {joins} joins in {_QUIET_S:.0f} s")},
            must="waits 5 minutes; nothing tried meanwhile",
            ok=one.since(mark, "room.left", reason="PARTICIPANT_REMOVED") and 240 <= delay_s <= 330 and not joins,
        )


async def _room_deleted(ground: Ground, folder: Path) -> None:
    async with _publishing(ground, folder) as one, _operator(ground.server) as operator:
        mark = one.mark()
        await operator.room.delete_room(api.DeleteRoomRequest(room=one.room))
        deleted = Moment.now()
        line = await until_logged(one, mark, "room.waiting")
        await asyncio.sleep(_QUIET_S)
        delay_s, joins = line.get("delay_s", 0), len(one.since(mark, "room.joining"))
        again_s = await picture_after(one, deleted, within_s=75 - _QUIET_S)
        measured = Measured()
        measured.video.seconds.append(again_s)
        ground.table.record(
            "room deleted",
            {
                "times": 1,
                "video again": measured.video,
                "events seen": _events(one, mark, f"delay_s {delay_s}; {joins} joins in {_QUIET_S:.0f} s"),
            },
            must="waits 1 minute, then is there again",
            ok=one.since(mark, "room.left", reason="ROOM_DELETED") and 45 <= again_s <= 75 and not joins,
        )


async def _permission(ground: Ground, folder: Path) -> None:
    async with _publishing(ground, folder) as one, _operator(ground.server) as operator:
        mark = one.mark()

        async def allow(*, publish: bool) -> Moment:
            permission = api.ParticipantPermission(
                can_publish=publish, can_publish_sources=[api.TrackSource.CAMERA] if publish else []
            )
            permission.can_update_metadata = True
            await operator.room.update_participant(
                api.UpdateParticipantRequest(room=one.room, identity=_ME, permission=permission)
            )
            return Moment.now()

        taken = await allow(publish=False)
        await asyncio.sleep(10)
        dark = not [each for each in one.viewer.pictures if each.at > taken.at + 1]
        stayed = bool(one.viewer.attributes(_ME)) and not one.since(mark, "room.left")
        given = await allow(publish=True)
        measured = Measured()
        measured.video.seconds.append(await picture_after(one, given, within_s=20))
        ground.table.record(
            "permission to publish taken away for 10 s",
            {
                "times": 1,
                "video again": measured.video,
                "events seen": _events(one, mark, f"stayed: {stayed}; dark meanwhile: {dark}"),
            },
            must="stays in the room; video <= 5 s after it is given back",
            ok=stayed and dark and measured.video.worst <= 5,
        )


async def _twins_with_a_key(ground: Ground, folder: Path) -> None:
    await _twins(ground, folder, "two devices with one identity, by key", most_joins=2)


async def _twins_with_a_token(ground: Ground, folder: Path) -> None:
    (folder / "token").write_text(_token(ground.server, "twins-by-token", ttl=datetime.timedelta(hours=1)))
    await _twins(
        ground,
        folder,
        "two devices with one identity, by a fixed token",
        most_joins=4,
        **_NO_KEY,
        DEVICE_CREDENTIALS__TOKEN_FILE=str(folder / "token"),
    )


async def _twins(ground: Ground, folder: Path, what: str, *, most_joins: int, **variables: str) -> None:
    room = "twins-by-token" if variables else "twins-by-key"
    variables = SILENT | variables
    async with (
        device(ground.network, [ground.server], folder, room=room, **variables) as one,
        device(ground.network, [ground.server], folder, room=room, **variables) as other,
    ):
        other.neighbour = True  # on one machine the second would wait for the first
        one.start()
        await until_logged(one, (0, 0), "room.state", new="live")
        other.start()
        await asyncio.sleep(_TWINS_S)
        joins = [len(each.since((0, 0), "room.joining")) for each in (one, other)]
        loud = any(each.since((0, 0), "room.duplicate_identity") for each in (one, other))
        ground.table.record(
            what,
            {"times": 1, "events seen": f"joins {joins} in 3 minutes; logged: {loud}; {_events(one, (0, 0), '')}"},
            must=f"no eviction war: at most {most_joins} joins each; room.duplicate_identity",
            ok=loud and max(joins) <= most_joins,
        )


async def _expired(ground: Ground, folder: Path) -> None:
    file = folder / "token"
    variables = SILENT | _NO_KEY | {"DEVICE_CREDENTIALS__TOKEN_FILE": str(file)}
    with node(7930) as server:
        file.write_text(_token(server, "expired", ttl=_NEARLY_EXPIRED))
        async with device(ground.network, [server], folder, room="expired", **variables) as one:
            one.start()
            await first_picture(one)
            await asyncio.sleep(_EXPIRED_FOR_SURE_S)
            mark = one.mark()
            server.kill()
            await asyncio.sleep(_AWAY_S)
            await server.back()
            await asyncio.sleep(_QUIET_S)
            tries = len(one.since(mark, "room.joining"))
            file.write_text(_token(server, "expired", ttl=datetime.timedelta(hours=1)))
            measured = Measured()
            measured.video.seconds.append(await picture_after(one, Moment.now(), within_s=40))
            ground.table.record(
                "token expired before a reconnect, replaced 20 s later",
                {
                    "times": 1,
                    "video again": measured.video,
                    "events seen": _events(one, mark, f"{tries} tries in 20 s"),
                },
                must="1 to 10 tries in 20 s; video <= 35 s after a good token",
                ok=1 <= tries <= 10 and measured.video.worst <= 35,
            )


_WAITING = (_twins_with_a_key, _twins_with_a_token, _removed, _room_deleted)


@pytest.mark.usefixtures("quiet")
@pytest.mark.timeout(500)
@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param(
            each,
            id=each.__name__.strip("_"),
            marks=pytest.mark.side_by_side.with_args(each, waits=each in _WAITING),
        )
        for each in (_twins_with_a_key, _twins_with_a_token, _removed, _room_deleted, _permission, _expired)
    ],
)
def test_policy(side_by_side: SideBySide, scenario: Any) -> None:
    side_by_side.wait(scenario)


@asynccontextmanager
async def _publishing(ground: Ground, folder: Path) -> AsyncIterator[Device]:
    async with device(ground.network, [ground.server], folder, **SILENT) as one:
        one.start()
        await first_picture(one)
        yield one


def _operator(server: Server) -> api.LiveKitAPI:
    return api.LiveKitAPI(server.url, server.api_key, server.api_secret)


def _token(server: Server, room: str, *, ttl: datetime.timedelta) -> str:
    grants = api.VideoGrants(room_join=True, room=room, can_publish=True, can_update_own_metadata=True)
    made = api.AccessToken(server.api_key, server.api_secret).with_identity(_ME).with_grants(grants).with_ttl(ttl)
    return made.to_jwt()


def _events(one: Device, mark: tuple[int, int], more: str) -> str:
    events = counted(one.events(mark).most_common(6))
    return f"{events}; {more}; device.room: {one.viewer.attributes(_ME).get('device.room', '')!r}"
