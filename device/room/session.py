"""One stay in a room: connect → publish → wait until it ends → say why. Never used twice."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from livekit import rtc

from device.errors import JoinError
from device.room.evidence import gathered
from device.room.reasons import NOT_REPUBLISHED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from device.room.attributes import Attributes
    from device.room.ticket import Ticket
    from device.room.verdict import Evidence

log = structlog.get_logger()

_PUBLISH_S = 15.0  # the SDK gives AddTrack 10 s
_UNPUBLISH_S = 2.0
_ATTRIBUTES_S = 0.5  # an answer takes 10 ms
_LEAVE_S = 1.0
# A join that is under way cannot be cancelled: the SDK would carry on with it without us.
_PENDING_JOIN_S = 0.5


class Track(Protocol):
    """What a session needs of a track; `fed` counts the units or blocks that the SDK was given."""

    fed: int

    @property
    def track(self) -> rtc.LocalVideoTrack | rtc.LocalAudioTrack: ...

    def options(self) -> rtc.TrackPublishOptions: ...
    def begin(self) -> None: ...
    def welcome(self) -> None: ...
    def sent(self, frames: int, *, of: int, lost: float) -> None: ...
    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Why a stay ended, by the SDK's name of the reason or ours, and for how long it had published, in seconds.

    `clean`: the server knows that this device has left.
    """

    reason: str
    published_for_s: float
    clean: bool


class Session:
    """Owns one Room; events that it still emits after its end go nowhere."""

    def __init__(self, ticket: Ticket, *, tracks: Sequence[Track], attributes: Attributes) -> None:
        self.url = ticket.url
        self.live = asyncio.Event()  # published for the first time
        self.changed = asyncio.Event()  # one of the two below has; for who looks after this stay
        self.reconnecting = False
        self.permitted = True
        self._ticket = ticket
        self._tracks = tracks
        self._attributes = attributes
        self._room = rtc.Room()
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._publications: list[rtc.LocalTrackPublication] = []
        self._permission_changed = asyncio.Event()
        self._clean = True

    async def run(self) -> Ended:
        """Stay until the room ends. Raises JoinError if it cannot be joined or nothing can be published.

        When cancelled, says goodbye, so that viewers see the device go at once.
        """
        self._room.on("disconnected", self._on_disconnected)
        self._room.on("connection_state_changed", self._on_state)
        self._room.on("reconnected", self._attributes.repeat)
        self._room.on("participant_permissions_changed", self._on_permissions)
        self._room.on("participant_connected", self._on_viewer)
        self._room.on("local_track_subscribed", self._on_viewer)
        try:
            await self._connect()
            await self._publish()
            began = time.monotonic()
            self.live.set()
            reason = await self._until_ended()
            return Ended(reason=reason, published_for_s=time.monotonic() - began, clean=self._clean)
        finally:
            await self._leave()

    def give_up(self, reason: str) -> None:
        """End the stay for a reason of our own; the server may not hear of it."""
        if not self._ended.done():
            self._clean = False
            self._ended.set_result(reason)

    async def evidence(self) -> Evidence | None:
        """Return what the SDK's statistics show, if they can be had; tell the tracks what was sent of theirs."""
        fed = [each.fed for each in self._tracks]
        evidence = await gathered(self._room)
        for each, count in zip(self._tracks, fed, strict=True):
            if evidence is not None and (frames := evidence.sent.get(_kind(each))) is not None:
                each.sent(frames, of=count, lost=evidence.lost.get(_kind(each), 0.0))
        return evidence

    def fed(self) -> Mapping[str, int]:
        """Return how many units and blocks the published tracks were fed with."""
        return {_kind(each): each.fed for each in self._tracks} if self._publications else {}

    async def _connect(self) -> None:
        options = rtc.RoomOptions(auto_subscribe=False, dynacast=False)
        join = asyncio.create_task(self._room.connect(self._ticket.url, self._ticket.token, options), name="join")
        try:
            await asyncio.shield(join)
        except rtc.ConnectError as error:
            raise JoinError(f"{self._ticket.url}: {error.message}") from None
        except asyncio.CancelledError:
            await asyncio.wait({join}, timeout=_PENDING_JOIN_S)
            join.cancel()
            raise

    async def _publish(self) -> None:
        for each in self._tracks:
            each.begin()
            publishing = asyncio.create_task(
                self._room.local_participant.publish_track(each.track, each.options()), name="publish"
            )
            # publish_track hangs for ever where the room ends meanwhile.
            either: set[asyncio.Future[Any]] = {publishing, self._ended}
            try:
                await asyncio.wait(either, timeout=_PUBLISH_S, return_when=asyncio.FIRST_COMPLETED)
            finally:
                publishing.cancel()
            if not publishing.done():
                why = self._ended.result() if self._ended.done() else f"no answer within {_PUBLISH_S:.0f} s"
                raise JoinError(f"the {each.track.name} could not be published: {why}")
            if error := publishing.exception():
                raise JoinError(f"the {each.track.name} could not be published: {error}") from None
            self._publications.append(publishing.result())

    async def _until_ended(self) -> str:
        tasks = [
            asyncio.create_task(self._write_attributes(), name="attributes"),
            asyncio.create_task(self._keep_published(), name="permissions"),
        ]
        try:
            for each in tasks:
                each.add_done_callback(self._on_failed)
            return await self._ended
        finally:
            for each in tasks:
                each.cancel()

    async def _write_attributes(self) -> None:
        """Keep the participant's attributes equal to ours, as long as the session lasts."""
        if not self._ticket.grants.can_update_own_metadata:
            log.info(
                "room.attributes_not_granted",
                hint="the token lacks canUpdateOwnMetadata; viewers see no state",
            )
            return
        async for values in self._attributes.changes():
            # It hangs for 5 s in one call of 70, although the server has it at once; while the SDK reconnects it says
            # ok and fails. What the server has confirmed is what counts.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ATTRIBUTES_S):
                    await self._room.local_participant.set_attributes(values)
            if not self._confirmed(values):
                await asyncio.sleep(_ATTRIBUTES_S)
            if not self._confirmed(values):
                self._attributes.repeat()

    def _confirmed(self, values: Mapping[str, str]) -> bool:
        return values.items() <= self._room.local_participant.attributes.items()

    async def _keep_published(self) -> None:
        """Publish again what the server unpublished when it took the permission, once that is given back."""
        published = True
        while True:
            await self._permission_changed.wait()
            self._permission_changed.clear()
            if self.permitted == published:
                continue
            await self._unpublish()
            published = self.permitted
            if not published:
                continue
            try:
                await self._publish()
            except JoinError as error:
                log.warning("room.not_republished", why=str(error))
                self.give_up(NOT_REPUBLISHED)

    async def _unpublish(self) -> None:
        for each in self._publications:
            # The server has done it already; this is for the SDK's own books.
            with contextlib.suppress(TimeoutError, rtc.participant.UnpublishTrackError):
                async with asyncio.timeout(_UNPUBLISH_S):
                    await self._room.local_participant.unpublish_track(each.sid)
        self._publications.clear()

    def _on_failed(self, task: asyncio.Task[None]) -> None:
        """Attributes and permissions are worth no disconnection: say what went wrong, and stay."""
        if not task.cancelled() and (error := task.exception()):
            log.error("room.task_failed", task=task.get_name(), exc_info=error)

    async def _leave(self) -> None:
        if not self._ended.done():
            self._ended.set_result("CLIENT_INITIATED")
        try:
            async with asyncio.timeout(_LEAVE_S):
                await self._room.disconnect()
        except TimeoutError:
            log.warning("room.leave_timed_out", hint="viewers see this participant for up to 20 s more")

    def _on_disconnected(self, reason: rtc.DisconnectReason.ValueType) -> None:
        if not self._ended.done():
            self._ended.set_result(rtc.DisconnectReason.Name(reason))

    def _on_state(self, state: rtc.ConnectionState.ValueType) -> None:
        if not self._ended.done():
            log.info("room.sdk_state", state=rtc.ConnectionState.Name(state).removeprefix("CONN_").lower())
            self.reconnecting = state == rtc.ConnectionState.CONN_RECONNECTING
            self.changed.set()

    def _on_viewer(self, _who: object) -> None:
        if not self._ended.done():
            for each in self._tracks:
                each.welcome()

    def _on_permissions(self, who: rtc.Participant, permissions: Any) -> None:
        if not self._ended.done() and who is self._room.local_participant and permissions.can_publish != self.permitted:
            self.permitted = permissions.can_publish
            log.warning("room.permission", can_publish=self.permitted)
            self._permission_changed.set()
            self.changed.set()


def _kind(track: Track) -> str:
    return "video" if isinstance(track.track, rtc.LocalVideoTrack) else "audio"
