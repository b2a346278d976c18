"""One session in a room: connect → publish → wait until it ends → leave. It is used once."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from livekit import rtc

from device.errors import JoinError
from device.lifecycle.memory_policy import Moment
from device.native_sdk.restarts import RESTARTS
from device.room.attribute_writer import AttributeWriter
from device.room.calls import take_calls
from device.room.connect_errors import connect_error_text
from device.room.options import room_options
from device.room.publications import Permission, Publications
from device.room.reasons import JOIN_FAILED, LEFT, Reason, label_of, reason_named
from device.room.track_samples import give_sample
from device.telemetry.sampler import Sampler
from device.timeline import TIMELINE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from device.room.audience import Audience, Watched
    from device.telemetry.attributes import Attributes
    from device.telemetry.room_state import PublishState
    from device.telemetry.transmission import SampleListener
    from device.tokens.join_token import JoinToken
    from device.tracks.track import Track

log = structlog.get_logger()

_LEAVE_S = 1.0
# A join cannot be cancelled: the SDK completes it in the background.
_PENDING_JOIN_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnd:
    """Why a session ended, and for how long it had published, in seconds.

    `clean`: the server knows that this device has left.
    """

    reason: Reason
    published_for_s: float
    clean: bool


class Session:
    """Owns one Room. Events that the Room emits after the end of the session are ignored."""

    def __init__(
        self,
        join_token: JoinToken,
        *,
        tracks: Sequence[Track],
        attributes: Attributes,
        relay_only: bool = False,
        listeners: Sequence[SampleListener] = (),
        streams: Sequence[Watched] = (),
        on_joined: Sequence[Callable[[rtc.Room], None]] = (),
        on_publication: Callable[[str, PublishState], None] = lambda _name, _state: None,
    ) -> None:
        self.url = join_token.url
        self.joined = asyncio.Event()  # connected, but nothing is published yet
        self.live = asyncio.Event()  # published for the first time
        self.changed = asyncio.Event()  # the SDK's state or a permission; for the session's monitor
        self.reconnecting = False
        self._join_token = join_token
        self._relay_only = relay_only
        self._tracks = tracks
        self._room = rtc.Room()
        self._ended: asyncio.Future[Reason] = asyncio.get_running_loop().create_future()
        grants = join_token.grants
        self._report_publication = on_publication
        self._publications = Publications(
            tracks,
            permission=Permission.of_grants(grants),
            on_state=self._on_publication,
        )
        self._attributes = AttributeWriter(self._room, attributes, permitted=grants.can_update_own_metadata)
        self.sampler = Sampler(self._room, self._publications.active)
        self._listeners, self._on_joined = listeners, on_joined
        self.sampler.listeners.append(lambda sample: give_sample(sample, self._publications.active()))
        self.sampler.listeners += [each.sampled for each in listeners]
        self._clean = True
        self._audience = _audience(self._room, self.sampler, streams)

    @property
    def permitted(self) -> bool:
        """Whether the room allows to publish anything."""
        return self._publications.any_allowed

    @property
    def moment(self) -> Moment:
        """What viewers would notice if this process ended now."""
        if not self.joined.is_set():
            return Moment.BUSY
        return Moment.WATCHED if self._room.remote_participants else Moment.ALONE

    async def run(self) -> SessionEnd:
        """Run until the room ends. Raises JoinError if it cannot be joined or nothing can be published.

        When cancelled, leaves the room in order, so that viewers see the device go at once.
        """
        self._room.on("disconnected", self._on_disconnected)
        self._room.on("connection_state_changed", self._on_state)
        self._room.on("reconnected", self._attributes.write_again)
        self._room.on("participant_permissions_changed", self._on_permissions)
        self._room.on("participant_connected", self._on_viewer)
        self._room.on("local_track_subscribed", self._on_viewer)
        self._room.on("track_muted", lambda who, publication: self._on_muted(who, publication, muted=True))
        self._room.on("track_unmuted", lambda who, publication: self._on_muted(who, publication, muted=False))
        try:
            await self._connect()
            self.joined.set()
            TIMELINE.mark("join")
            if self._audience:
                self._audience.joined()
            if self._on_joined:
                take_calls(self._room, self._on_joined, self._join_token.grants)
            await self._publications.publish_all(self._room, self._ended)
            began = time.monotonic()
            self.live.set()
            TIMELINE.mark("publish")
            reason = await self._until_ended()
            return SessionEnd(reason=reason, published_for_s=time.monotonic() - began, clean=self._clean)
        finally:
            if self._audience:
                self._audience.left()
            for each in self._listeners:
                each.ended(self._end_label)
            await self._leave()

    @property
    def _end_label(self) -> str:
        known = self._ended.done() and not self._ended.cancelled()
        return label_of(self._ended.result() if known else LEFT) if self.live.is_set() else JOIN_FAILED

    def give_up(self, reason: Reason) -> None:
        """End the session for a reason of our own; the server may not notice."""
        if not self._ended.done():
            self._clean = False
            self._ended.set_result(reason)

    async def _connect(self) -> None:
        options = room_options(relay_only=self._relay_only, for_viewers_only=self._audience is not None)
        join = asyncio.create_task(
            self._room.connect(self._join_token.url, self._join_token.token, options), name="join"
        )
        try:
            await asyncio.shield(join)
        except rtc.ConnectError as error:
            raise JoinError(f"{self._join_token.url}: {connect_error_text(error.message)}") from None
        except asyncio.CancelledError:
            await asyncio.wait({join}, timeout=_PENDING_JOIN_S)
            join.cancel()
            raise

    async def _until_ended(self) -> Reason:
        tasks = [
            asyncio.create_task(self._attributes.run(), name="attributes"),
            asyncio.create_task(self.sampler.run(), name="sampler"),
            asyncio.create_task(self._publications.keep_published(self._room, self._ended), name="publications"),
        ]
        if self._audience:
            tasks.append(asyncio.create_task(self._audience.run(), name="audience"))
        try:
            for each in tasks:
                each.add_done_callback(self._on_failed)
            return await self._ended
        finally:
            for each in tasks:
                each.cancel()

    def _on_failed(self, task: asyncio.Task[None]) -> None:
        """Log an error in one of the session's tasks, and stay in the room."""
        if not task.cancelled() and (error := task.exception()):
            log.error("room.task_failed", task=task.get_name(), exc_info=error)

    async def _leave(self) -> None:
        if not self._ended.done():
            self._ended.set_result(LEFT)
        reconnecting = rtc.ConnectionState.CONN_RECONNECTING
        await RESTARTS.over(lambda: self._room.connection_state == reconnecting, within_s=_LEAVE_S)
        try:
            async with asyncio.timeout(_LEAVE_S):
                await self._room.disconnect()
        except TimeoutError:
            log.warning("room.leave_timed_out", hint="viewers see this participant for up to 20 s more")

    def _on_publication(self, name: str, state: PublishState) -> None:
        if self._audience:
            self._audience.publication(name, state)
        self._report_publication(name, state)

    def _on_disconnected(self, reason: rtc.DisconnectReason.ValueType) -> None:
        if not self._ended.done():
            self._ended.set_result(reason_named(rtc.DisconnectReason.Name(reason)))

    def _on_state(self, state: rtc.ConnectionState.ValueType) -> None:
        if not self._ended.done():
            log.info("room.sdk_state", state=rtc.ConnectionState.Name(state).removeprefix("CONN_").lower())
            self.reconnecting = state == rtc.ConnectionState.CONN_RECONNECTING
            self.changed.set()

    def _on_viewer(self, _who: object) -> None:
        if not self._ended.done():
            for each in self._tracks:
                each.viewer_joined()

    def _on_muted(self, who: object, publication: Any, *, muted: bool) -> None:
        if not self._ended.done() and who is self._room.local_participant:
            self._publications.muted(publication.sid, muted=muted)
            if self._audience and not muted:
                self._audience.unmuted()
            self.changed.set()

    def _on_permissions(self, who: rtc.Participant, permissions: Any) -> None:
        if self._ended.done() or who is not self._room.local_participant:
            return
        permission = Permission.of_room(permissions)
        if permission == self._publications.permission:
            return
        log.warning(
            "room.permission",
            can_publish=permission.can_publish,
            sources=sorted(
                rtc.TrackSource.Name(each).removeprefix("SOURCE_").lower() for each in permissions.can_publish_sources
            ),
            can_update_metadata=permission.can_update_metadata,
        )
        self._attributes.permit(permitted=permission.can_update_metadata)
        self._publications.permitted(permission)
        self.changed.set()


def _audience(room: rtc.Room, sampler: Sampler, streams: Sequence[Watched]) -> Audience | None:
    if not streams:
        return None
    from device.room.audience import Audience

    return Audience(room, sampler, streams)
