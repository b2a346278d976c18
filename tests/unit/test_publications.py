"""One track after the other is published: see `Publications`."""

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest
from livekit import rtc

from device.errors import JoinError
from device.room.publications import Permission, Publications
from device.room.reasons import Reason, reason_named
from device.telemetry.room_state import PublishState

if TYPE_CHECKING:
    from device.tracks.track import Track

ALL = Permission(can_publish=True, sources=frozenset(), can_update_metadata=True)
NOTHING = Permission(can_publish=False, sources=frozenset(), can_update_metadata=True)


class FakeTrack:
    kind = "camera"
    fed = 0
    muted = False

    def __init__(self, name: str) -> None:
        self.name = self.sid = name
        self.wanted = asyncio.Event()
        self.wanted.set()
        self.track = self

    def options(self) -> rtc.TrackPublishOptions:
        return rtc.TrackPublishOptions()

    def start_publication(self) -> None: ...


class FakeRoom:
    """Counts the calls that are under way; what is refused fails, what hangs never returns."""

    def __init__(self, *, refused: tuple[str, ...] = (), hung: tuple[str, ...] = ()) -> None:
        self.local_participant = self
        self.refused, self.hung = refused, hung
        self.calls: list[str] = []
        self.under_way = self.most = 0
        self.finished: asyncio.Queue[str] = asyncio.Queue()

    async def _call(self, what: str) -> None:
        self.calls.append(what)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            for _ in range(5):
                await asyncio.sleep(0)
        finally:
            self.under_way -= 1
            self.finished.put_nowait(what)

    async def publish_track(self, track: FakeTrack, _options: object) -> FakeTrack:
        if track.name in self.hung:
            await asyncio.Event().wait()
        await self._call(f"publish {track.name}")
        if track.name in self.refused:
            raise rtc.participant.PublishTrackError("no")
        return track

    async def unpublish_track(self, sid: str) -> None:
        await self._call(f"unpublish {sid}")


def _publications(permission: Permission = ALL) -> tuple[Publications, dict[str, PublishState]]:
    states: dict[str, PublishState] = {}
    tracks = cast("list[Track]", [FakeTrack("camera"), FakeTrack("microphone")])
    return Publications(tracks, permission=permission, on_state=states.__setitem__), states


def test_tracks_are_published_one_after_the_other() -> None:
    async def run() -> None:
        room: Any = FakeRoom()
        publications, states = _publications()
        await publications.publish_all(room, asyncio.get_running_loop().create_future())
        assert room.calls == ["publish camera", "publish microphone"]
        assert room.most == 1
        assert set(states.values()) == {PublishState.PUBLISHED}

    asyncio.run(run())


def test_so_they_are_when_permissions_come_and_go() -> None:
    async def run() -> None:
        room: Any = FakeRoom()
        publications, _ = _publications(NOTHING)
        keeping = asyncio.create_task(publications.keep_published(room, asyncio.get_running_loop().create_future()))
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
            publications.permitted(ALL)
            await room.finished.get(), await room.finished.get()
            publications.permitted(NOTHING)
            await room.finished.get(), await room.finished.get()
        keeping.cancel()
        assert room.calls == ["publish camera", "publish microphone", "unpublish camera", "unpublish microphone"]
        assert room.most == 1

    asyncio.run(run())


def test_one_that_is_refused_leaves_the_other_alone() -> None:
    async def run() -> None:
        room: Any = FakeRoom(refused=("camera",))
        publications, states = _publications()
        await publications.publish_all(room, asyncio.get_running_loop().create_future())
        assert states == {"camera": PublishState.FAILED, "microphone": PublishState.PUBLISHED}

    asyncio.run(run())


def test_the_end_of_the_room_ends_all_of_it() -> None:
    async def run() -> None:
        room: Any = FakeRoom(hung=("camera", "microphone"))
        publications, states = _publications()
        ended: asyncio.Future[Reason] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(ended.set_result, reason_named("ROOM_CLOSED"))
        async with asyncio.timeout(5):
            with pytest.raises(JoinError, match="ROOM_CLOSED"):
                await publications.publish_all(room, ended)
        assert set(states.values()) == {PublishState.FAILED}

    asyncio.run(run())
