"""The talkers in the room: subscribes to their microphones, and to nothing else, and plays those with the floor.

What comes from the room is untrusted. Events of a Room that was left are ignored.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog
from livekit import rtc

from device.clock import monotonic_us
from device.media.block import SAMPLE_RATE
from device.printable import printable
from device.speaker.mixing import peak

if TYPE_CHECKING:
    from collections.abc import Callable

    from device.speaker.floor import Floor
    from device.speaker.playback import Playback

log = structlog.get_logger()

MAX_TALKERS: Final = 8
_FRAME_MS, _QUEUED = 10, 10
_LOUD = 150  # a peak of -47 dB: speech, not the noise of a line
_CLOSE_S = 1.0
_UPDATE_S = 0.5


@dataclass(slots=True, kw_only=True)
class _Microphone:
    """The microphone of one talker. `hearing` runs while the SDK is subscribed to it."""

    publication: rtc.RemoteTrackPublication
    muted: bool = False
    hearing: asyncio.Task[None] | None = field(default=None, repr=False)


class Talkers:
    """Plays those who have the floor. `on_heard` gets their identities when that changes."""

    def __init__(self, floor: Floor, playback: Playback, *, on_heard: Callable[[tuple[str, ...]], None]) -> None:
        self._floor, self._playback, self._on_heard = floor, playback, on_heard
        self._room: rtc.Room | None = None
        self._microphones: dict[str, _Microphone] = {}
        self._heard: tuple[str, ...] = ()
        self._ending: set[asyncio.Task[None]] = set()
        self._refused = False  # a talker, because there was no place

    def serve(self, room: rtc.Room) -> None:
        """Hear the talkers of this Room from now on, instead of those of the one before."""
        self.leave()
        self._room = room
        events: dict[Any, Callable[..., None]] = {
            "track_published": self._published,
            "track_unpublished": lambda publication, who: self._gone(who.identity, publication.sid),
            "track_subscribed": self._subscribed,
            "track_unsubscribed": lambda _track, publication, who: self._unsubscribed(who.identity, publication.sid),
            "track_muted": partial(self._muted, muted=True),
            "track_unmuted": partial(self._muted, muted=False),
            "participant_disconnected": self._left,
            "reconnected": self.look,
        }
        for name, handle in events.items():
            room.on(name, partial(self._on, room, handle))
        if not room.local_participant.permissions.can_subscribe:
            log.warning("speaker.not_granted", hint="talkers are not heard: the token needs video.canSubscribe")
        self.look()

    def look(self) -> None:
        """Subscribe to each microphone that may be heard and is not subscribed to, and leave the others."""
        for identity, microphone in list(self._microphones.items()):
            if not self._floor.allows(identity):
                self._gone(identity)
                self._subscribe(microphone.publication, wanted=False)
        for who in self._room.remote_participants.values() if self._room else ():
            for publication in who.track_publications.values():
                known = self._microphones.get(who.identity)
                if known is None or known.publication.sid not in who.track_publications:
                    self._published(publication, who)

    def leave(self) -> None:
        """End all playback, because the room is left."""
        self._room = None
        for identity in list(self._microphones):
            self._gone(identity)
        self._floor.clear()
        self.changed()

    async def run(self) -> None:
        """End talks in time, until cancelled; then end all playback."""
        try:
            while True:
                await asyncio.sleep(_UPDATE_S)
                self._floor.update(time.monotonic())
                self.changed()
                if self._refused and len(self._microphones) < MAX_TALKERS:
                    self._refused = False
                    self.look()
        finally:
            self.leave()
            if self._ending:
                await asyncio.wait(tuple(self._ending), timeout=_CLOSE_S)

    def _on(self, room: rtc.Room, handle: Callable[..., None], *arguments: Any) -> None:
        if room is self._room:
            handle(*arguments)

    def _published(self, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        identity = who.identity
        if publication.source != rtc.TrackSource.SOURCE_MICROPHONE or not self._floor.allows(identity):
            return
        known = self._microphones.get(identity)
        if known is not None and known.publication.sid == publication.sid:
            return
        if known is not None:
            self._gone(identity)
            self._subscribe(known.publication, wanted=False)
        if len(self._microphones) >= MAX_TALKERS:
            self._refused = True
            log.warning("speaker.too_many_talkers", talker=printable(identity), most=MAX_TALKERS)
            return
        self._microphones[identity] = _Microphone(publication=publication, muted=publication.muted)
        self._subscribe(publication, wanted=True)

    def _subscribe(self, publication: rtc.RemoteTrackPublication, *, wanted: bool) -> None:
        try:
            publication.set_subscribed(wanted)
        except Exception as error:  # whatever the SDK raises, the device publishes all the same  # noqa: BLE001
            log.warning("speaker.not_subscribed", why=type(error).__name__)

    def _subscribed(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant
    ) -> None:
        microphone = self._microphones.get(who.identity)
        if microphone is None or microphone.publication.sid != publication.sid:
            return
        self._end(who.identity, microphone)
        microphone.hearing = asyncio.create_task(self._hear(who.identity, track), name="talker")
        microphone.hearing.add_done_callback(self._ended)
        microphone.muted = publication.muted
        if not microphone.muted:
            self._floor.open(who.identity, time.monotonic())
        self.changed()

    def _muted(self, who: rtc.Participant, publication: rtc.TrackPublication, *, muted: bool) -> None:
        microphone = self._microphones.get(who.identity)
        if microphone is None or microphone.publication.sid != publication.sid:
            return
        microphone.muted = muted
        if muted:
            self._silence(who.identity)
        else:
            self._floor.open(who.identity, time.monotonic())
        self.changed()

    def _unsubscribed(self, identity: str, sid: str) -> None:
        microphone = self._microphones.get(identity)
        if microphone is not None and microphone.publication.sid == sid:
            self._end(identity, microphone)
            self.changed()

    def _gone(self, identity: str, sid: str = "") -> None:
        microphone = self._microphones.get(identity)
        if microphone is None or (sid and microphone.publication.sid != sid):
            return
        del self._microphones[identity]
        self._end(identity, microphone)
        self.changed()

    def _left(self, who: rtc.RemoteParticipant) -> None:
        self._gone(who.identity)
        self._silence(who.identity)  # also of one that had only asked to talk
        self.changed()

    def _end(self, identity: str, microphone: _Microphone) -> None:
        self._silence(identity)
        if microphone.hearing is not None:
            if not microphone.hearing.done():
                microphone.hearing.cancel()
                self._ending.add(microphone.hearing)
            microphone.hearing = None

    def _silence(self, identity: str) -> None:
        self._floor.close(identity)
        self._playback.end(identity)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("speaker.talker_failed", exc_info=error)

    async def _hear(self, identity: str, track: rtc.Track) -> None:
        # Without a bound the SDK's queue would keep all that comes while this process is held up.
        stream = rtc.AudioStream.from_track(
            track=track, sample_rate=SAMPLE_RATE, num_channels=1, frame_size_ms=_FRAME_MS, capacity=_QUEUED
        )
        try:
            async for event in stream:
                self._take(identity, bytes(event.frame.data))
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await stream.aclose()

    def _take(self, identity: str, samples: bytes) -> None:
        if self._floor.sound(identity, time.monotonic(), loud=peak(samples) >= _LOUD):
            self._playback.feed(identity, samples, monotonic_us())
        else:
            self._playback.end(identity)
        self.changed()

    def changed(self) -> None:
        """Report who is heard, if that has changed."""
        heard = self._floor.heard
        if heard == self._heard:
            return
        for identity in set(self._heard) - set(heard):
            self._playback.end(identity)
        self._heard = heard
        log.info("speaker.talker", heard=[printable(each) for each in heard])
        self._on_heard(heard)
