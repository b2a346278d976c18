"""The tracks of one session: each is published if the room allows it, and muted if the room asks for it.

A track that cannot be published does not affect the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog
from livekit import rtc

from device.backoff import Backoff
from device.errors import JoinError
from device.telemetry.room_state import PublishState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from device.room.reasons import Reason
    from device.tokens.grants import Grants
    from device.tracks.track import Track

log = structlog.get_logger()

PUBLISH_S = 15.0  # the SDK gives AddTrack 10 s
_UNPUBLISH_S = 2.0
_RETRY_FIRST_S, _RETRY_MOST_S = 1.0, 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What the room allows this participant; `sources` are the SDK's numbers, empty: all of them."""

    can_publish: bool
    sources: frozenset[int]
    can_update_metadata: bool

    @classmethod
    def of_grants(cls, grants: Grants) -> Permission:
        """Return what a token allows."""
        names = {f"SOURCE_{each.upper()}" for each in grants.can_publish_sources}
        return cls(
            can_publish=grants.can_publish,
            sources=frozenset(rtc.TrackSource.Value(each) for each in names & {*rtc.TrackSource.keys()}),
            can_update_metadata=grants.can_update_own_metadata,
        )

    @classmethod
    def of_room(cls, permissions: Any) -> Permission:
        """Return what the room allows, by the SDK's message."""
        return cls(
            can_publish=permissions.can_publish,
            sources=frozenset(permissions.can_publish_sources),
            can_update_metadata=permissions.can_update_metadata,
        )

    def allows(self, track: Track) -> bool:
        return self.can_publish and (not self.sources or track.options().source in self.sources)


@dataclass(slots=True, kw_only=True)
class _Entry:
    track: Track
    state: PublishState = PublishState.STARTING
    publication: rtc.LocalTrackPublication | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        return self.track.track.name


class Publications:
    """Keeps the tracks of one Room published. `on_state` gets each change by the name of the track."""

    def __init__(
        self,
        tracks: Sequence[Track],
        *,
        permission: Permission,
        on_state: Callable[[str, PublishState], None],
    ) -> None:
        self._entries = [_Entry(track=each) for each in tracks]
        self.permission = permission
        self._on_state = on_state
        # With two publish_track() at once the SDK sometimes sends no video (livekit 1.2.1: in 3 of 21 checks,
        # and in none of 24 with one after the other).
        self._one_at_a_time = asyncio.Lock()

    @property
    def any_allowed(self) -> bool:
        return any(self.permission.allows(each.track) for each in self._entries)

    def active(self) -> list[Track]:
        """Return the tracks that viewers receive: those that statistics must show as sent."""
        return [each.track for each in self._entries if each.state is PublishState.PUBLISHED]

    async def publish_all(self, room: rtc.Room, ended: asyncio.Future[Reason]) -> None:
        """Publish what is allowed, one after the other. Raises JoinError if all of that failed."""
        entries = [each for each in self._entries if each.track.wanted.is_set()]
        wanted = [each for each in entries if self.permission.allows(each.track)]
        for each in entries:
            if each not in wanted:
                self._become(each, PublishState.FORBIDDEN)
        failures: list[JoinError] = []
        for each in wanted:
            try:
                await self._publish(each, room, ended)
            except JoinError as error:
                failures.append(error)
        if wanted and len(failures) == len(wanted):
            raise failures[0]

    async def keep_published(self, room: rtc.Room, ended: asyncio.Future[Reason]) -> None:
        """Follow permissions, and publish again what failed, until cancelled."""
        keeping = {
            asyncio.create_task(self._keep_alone(each, room, ended), name=f"{each.name}-publication")
            for each in self._entries
        }
        try:
            await asyncio.gather(*keeping)
        finally:
            for task in keeping:
                task.cancel()

    def permitted(self, permission: Permission) -> None:
        """Note what the room allows from now on."""
        self.permission = permission
        for each in self._entries:
            each.changed.set()

    def muted(self, sid: str, *, muted: bool) -> None:
        """Note that a track was muted or unmuted, by the room or by ourselves."""
        for each in self._entries:
            if each.publication is None or each.publication.sid != sid or each.track.muted == muted:
                continue
            each.track.muted = muted
            log.warning("track.muted" if muted else "track.unmuted", track=each.name, by="the room")
            if muted:
                self._become(each, PublishState.MUTED)
            else:
                each.track.unmuted()
                self._become(each, PublishState.PUBLISHED)

    async def _keep_alone(self, entry: _Entry, room: rtc.Room, ended: asyncio.Future[Reason]) -> None:
        """Keep one track published; an error in that is logged, and the other tracks go on."""
        try:
            await self._keep(entry, room, ended)
        except Exception:
            log.exception("track.publication_failed", track=entry.name)
            self._become(entry, PublishState.FAILED)

    async def _keep(self, entry: _Entry, room: rtc.Room, ended: asyncio.Future[Reason]) -> None:
        backoff = Backoff(
            base_s=_RETRY_FIRST_S, cap_s=_RETRY_MOST_S, reset_after_s=float("inf"), uniform=random.uniform
        )
        await entry.track.wanted.wait()
        while True:
            allowed = self.permission.allows(entry.track)
            if entry.publication is not None and not allowed:
                await self._unpublish(entry, room)
            elif entry.publication is None and allowed:
                with contextlib.suppress(JoinError):
                    await self._publish(entry, room, ended)
                    backoff.failures = 0
            if not allowed:
                self._become(entry, PublishState.FORBIDDEN)
            failed = entry.publication is None and allowed
            wait_s = _RETRY_FIRST_S + backoff.next_delay_s(went_well_for_s=0) if failed else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await entry.changed.wait()
            entry.changed.clear()

    async def _publish(self, entry: _Entry, room: rtc.Room, ended: asyncio.Future[Reason]) -> None:
        """Publish one track. Raises JoinError if that fails."""
        async with self._one_at_a_time:
            await self._publish_alone(entry, room, ended)

    async def _publish_alone(self, entry: _Entry, room: rtc.Room, ended: asyncio.Future[Reason]) -> None:
        track = entry.track
        track.start_publication()
        if track.muted:
            track.track.mute()  # before it is published, because viewers must not receive what the room has muted
        publishing = asyncio.create_task(
            room.local_participant.publish_track(track.track, track.options()), name=f"publish-{entry.name}"
        )
        # publish_track hangs for ever if the room ends meanwhile.
        either: set[asyncio.Future[Any]] = {publishing, ended}
        try:
            await asyncio.wait(either, timeout=PUBLISH_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            publishing.cancel()
        if not publishing.done() and ended.done():
            why = f"the connection ended ({ended.result().name})"
        elif not publishing.done():
            why = f"no answer within {PUBLISH_S:.0f} s"
        elif error := publishing.exception():
            why = (
                "the room refused it" if isinstance(error, rtc.participant.PublishTrackError) else type(error).__name__
            )
        else:
            entry.publication = publishing.result()
            self._become(entry, PublishState.MUTED if track.muted else PublishState.PUBLISHED)
            return
        self._become(entry, PublishState.FAILED)
        log.warning("track.publish_failed", track=entry.name, why=why)
        raise JoinError(f"the {entry.name} could not be published: {why}", for_viewers=f"the {entry.name} is refused")

    async def _unpublish(self, entry: _Entry, room: rtc.Room) -> None:
        publication, entry.publication = entry.publication, None
        assert publication is not None
        # The server has unpublished it already; this tells the SDK.
        with contextlib.suppress(TimeoutError, rtc.participant.UnpublishTrackError):
            async with self._one_at_a_time, asyncio.timeout(_UNPUBLISH_S):
                await room.local_participant.unpublish_track(publication.sid)

    def _become(self, entry: _Entry, state: PublishState) -> None:
        if state is not entry.state:
            log.info("track.state", track=entry.name, old=entry.state.value, new=state.value)
            entry.state = state
        self._on_state(entry.name, state)
