"""A device with a speaker, as a plain participant of LiveKit's SDK: it plays what is said to it into a list."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from livekit import api, rtc

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from tests.support.livekit_server import Server

_WITHIN_S = 30.0
_LOUD = 300  # of 32767


class TalkedTo:
    """Hears allowed identities while their microphone is not muted. Its room lives in a thread of its own."""

    def __init__(self, prefix: str) -> None:
        self.room: rtc.Room
        self.prefix = prefix
        self.loud_at_s = 0.0  # time.monotonic() of the newest block with a sound
        self.loud_blocks = 0
        self.publications: list[tuple[str, str]] = []  # name and source of each, in turn
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="talked-to", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(_WITHIN_S)

    def set(self, **attributes: str) -> None:
        """Set attributes, such as speaker="live"; an empty one is removed."""
        self.run(self._set({f"device.{name}": value for name, value in attributes.items()}))

    def until(self, holds: Callable[[], object]) -> None:
        give_up_at = time.monotonic() + _WITHIN_S
        while not holds():
            assert time.monotonic() < give_up_at, (self.publications, self.loud_blocks)
            time.sleep(0.02)

    @property
    def published(self) -> list[str]:
        """The states of all microphones in the room."""
        people = self.room.remote_participants.values()
        return ["muted" if each.muted else "open" for who in people for each in who.track_publications.values()]

    async def join(self, url: str, token: str, attributes: dict[str, str]) -> None:
        self.room = room = rtc.Room(loop=asyncio.get_running_loop())
        room.on("track_subscribed", self._on_track)
        room.on("track_muted", lambda who, _publication: self._heard(who, on=False))
        room.on("track_unmuted", lambda who, _publication: self._heard(who, on=True))
        room.on("track_unpublished", lambda _publication, who: self._heard(who, on=False))
        room.on("participant_disconnected", lambda who: self._heard(who, on=False))
        await room.connect(url, token)
        await self._set(attributes)

    async def leave(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()

    async def _set(self, attributes: dict[str, str]) -> None:
        await self.room.local_participant.set_attributes(attributes)

    def _spawn(self, what: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_track(
        self, track: rtc.RemoteTrack, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant
    ) -> None:
        self.publications.append((publication.name, rtc.TrackSource.Name(publication.source)))
        self._spawn(self._collect(track))
        self._heard(who, on=not publication.muted)

    def _heard(self, who: rtc.RemoteParticipant, *, on: bool) -> None:
        talker = self.room.local_participant.attributes.get("device.talker", "")
        if on and self.prefix and who.identity.startswith(self.prefix) and not talker:
            self._spawn(self._set({"device.talker": who.identity}))
        elif not on and talker == who.identity:
            self._spawn(self._set({"device.talker": ""}))

    async def _collect(self, track: rtc.RemoteTrack) -> None:
        stream = rtc.AudioStream(track, sample_rate=48_000, num_channels=1)
        try:
            async for event in stream:
                if np.abs(np.frombuffer(event.frame.data, np.int16).astype(np.int32)).max() > _LOUD:
                    self.loud_at_s = time.monotonic()
                    self.loud_blocks += 1
        finally:
            await stream.aclose()

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self.run(self.leave())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_WITHIN_S)
        self._loop.close()


@contextmanager
def talked_to(
    server: Server, room: str, *, identity: str = "porch", name: str = "Front door", prefix: str = "talk-"
) -> Iterator[TalkedTo]:
    """Join a room as a device that hears identities with this prefix; with an empty one it hears none."""
    grants = api.VideoGrants(room_join=True, room=room, can_subscribe=True, can_update_own_metadata=True)
    made = api.AccessToken(server.api_key, server.api_secret).with_identity(identity).with_name(name)
    device = TalkedTo(prefix)
    device.start()
    try:
        attributes = {"device.state": "live", "device.speaker": "live"}
        device.run(device.join(server.url, made.with_grants(grants).to_jwt(), attributes))
        yield device
    finally:
        device.close()
