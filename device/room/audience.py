"""What a room says of the viewers of a stream: participants, subscriptions, and whether the SDK sends it at all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from device.telemetry.room_state import PublishState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from livekit import rtc

    from device.telemetry.sampler import Sample, Sampler
    from device.tracks.track import Track

# While a stream waits for viewers, the SDK is asked this often whether it would send: there is no event for that, and
# events of participants may be 2.6 s late (livekit 1.2.1, measured).
_POLL_S = 0.1


class Watched(Protocol):
    """A stream that sends to viewers only; it gets what the room says of them."""

    @property
    def track(self) -> Track: ...

    @property
    def waiting(self) -> asyncio.Event:
        """Set while a sign of a viewer is wanted at once."""

    def joined(self) -> None:
        """Note that a session has begun."""

    def left(self) -> None:
        """Note that the session has ended."""

    def published(self) -> None:
        """Note that it was published, or published again."""

    def forbidden(self) -> None:
        """Note that the room does not allow to publish it."""

    def participants(self, count: int) -> None:
        """Note how many other participants are in the room."""

    def may_be_watched(self) -> None:
        """Note that viewers may receive it from now on."""

    def subscribed(self) -> None:
        """Note that it was subscribed to for the first time in this session."""

    def active(self, *, active: bool | None) -> None:
        """Note whether the SDK sends what it is fed; None if it does not say."""


class Audience:
    """The viewers of one session. Its events are ignored once the session has ended."""

    def __init__(self, room: rtc.Room, sampler: Sampler, streams: Sequence[Watched]) -> None:
        self._room, self._sampler, self._streams = room, sampler, streams
        self._present = False
        self._published = {each: asyncio.Event() for each in streams}
        room.on("participant_connected", lambda _who: self._on_participants())
        room.on("participant_disconnected", lambda _who: self._on_participants())
        room.on("local_track_subscribed", self._on_subscribed)
        room.on("local_track_republished", lambda publication, _sid: self._on_republished(publication.track))
        sampler.for_viewers_only = True
        sampler.listeners.append(self._on_sample)

    def joined(self) -> None:
        """Note that the session has begun."""
        self._present = True
        for each in self._streams:
            each.joined()
        self._on_participants()

    def left(self) -> None:
        """Note that the session has ended."""
        if self._present:
            self._present = False
            for each in self._streams:
                each.left()

    def publication(self, name: str, state: PublishState) -> None:
        """Note how the track of this name is in the room."""
        for each, published in self._published.items():
            if each.track.track.name != name:
                continue
            if state not in (PublishState.PUBLISHED, PublishState.MUTED):
                published.clear()
            elif not published.is_set():
                published.set()
                each.published()
            if state is PublishState.FORBIDDEN:
                each.forbidden()

    def unmuted(self) -> None:
        """Note that the room has unmuted a track."""
        for each in self._streams:
            each.may_be_watched()

    async def run(self) -> None:
        """Ask often for the streams that wait, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for each in self._streams:
                tasks.create_task(self._ask(each), name=f"{each.track.track.name}-audience")

    async def _ask(self, stream: Watched) -> None:
        while True:
            await self._published[stream].wait()
            await stream.waiting.wait()
            if not self._published[stream].is_set():
                continue
            stream.active(active=await self._sampler.active(stream.track))
            await asyncio.sleep(_POLL_S)

    def _on_republished(self, track: object) -> None:
        for each in self._streams_of(track):
            each.published()
            if self._room.remote_participants:  # the SDK may lose the event of a subscription meanwhile
                each.may_be_watched()

    def _on_participants(self) -> None:
        if self._present:
            for each in self._streams:
                each.participants(len(self._room.remote_participants))

    def _on_subscribed(self, track: object) -> None:
        for each in self._streams_of(track):
            each.subscribed()

    def _streams_of(self, track: object) -> list[Watched]:
        return [each for each in self._streams if self._present and each.track.track is track]

    def _on_sample(self, sample: Sample) -> None:
        for each in self._streams:
            if self._present and not each.waiting.is_set():
                each.active(active=sample.stats.active.get(each.track.track.name))
