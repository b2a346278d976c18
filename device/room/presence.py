"""Stays in the room, for ever: carries out what `joining` decides, one attempt at a time, each with a fresh Room."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from device.errors import CredentialError, DeviceError, UnreachableError
from device.network.probe import Probe
from device.network.proxy import host_to_reach
from device.network.sdk import prepare_sdk
from device.redaction import redacted
from device.repeats import Repeats
from device.room.claim import IdentityClaim
from device.room.joining import Act, Joining, Rival
from device.room.reasons import DUPLICATE_IDENTITY, reason_of
from device.room.session import Ended, Session
from device.room.state import PresenceState, PublishState
from device.room.vigil import Vigil

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from device.clock import ServerClock
    from device.config import Reconnect
    from device.health.promises import Promises
    from device.log import LogContext
    from device.network.probe import Sight
    from device.network.resolver import Resolver
    from device.network.route import Routes
    from device.room.attributes import Attributes
    from device.room.publications import Track
    from device.room.ticket import Credentials, Ticket

log = structlog.get_logger()

# Each step is bounded in itself: three tries of a token endpoint, 10 s each, take longest.
_LONGEST_REST_S, _STEP_DUE_S, _LOOK_DUE_S = 60.0, 90.0, 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a presence needs of the world; `urls` in the order in which they are tried."""

    urls: tuple[str, ...]
    credentials: Credentials
    resolver: Resolver
    routes: Routes


class Presence:
    """Owns the connection to the room. `on_state` gets each change of state with a reason in words."""

    def __init__(
        self,
        surroundings: Surroundings,
        *,
        reconnect: Reconnect,
        stall_s: float,
        tracks: Sequence[Track],
        attributes: Attributes,
        log_context: LogContext,
        on_state: Callable[[PresenceState, str], None],
        on_publication: Callable[[str, PublishState], None],
        clock: ServerClock,
        on_clock: Callable[[float], None],
        promises: Promises,
    ) -> None:
        self.state, self._why = PresenceState.CONNECTING, ""
        self._urls = surroundings.urls
        self._credentials = surroundings.credentials
        self._resolver = surroundings.resolver
        self._routes = surroundings.routes
        self._probe = Probe(surroundings.resolver)
        self._promises = promises
        self._vigil = Vigil(
            probe=self._probe,
            routes=self._routes,
            urls=self._urls,
            stall_s=stall_s,
            probe_s=reconnect.probe_s,
            on_look=lambda: self._promise(_LOOK_DUE_S),
        )
        self._joining = Joining(
            probe_s=reconnect.probe_s, spread_s=reconnect.spread_s, max_s=reconnect.max_s, uniform=random.uniform
        )
        self._tracks = tracks
        self._attributes = attributes
        self._log_context = log_context
        self._on_state = on_state
        self._on_publication = on_publication
        self._clock, self._on_clock = clock, on_clock
        self._claim = IdentityClaim()
        self._sight: Sight | None = None
        self._troubles = Repeats()
        self._away_since: float | None = None

    async def run(self) -> None:
        """Join, stay, and join again, until cancelled; then leave in order."""
        self._aim_by_name()
        while True:
            self._joining.link(up=self._routes.way is not None, now=time.monotonic())
            step = self._joining.next(time.monotonic())
            self._promise(_STEP_DUE_S)
            match step.act:
                case Act.REST:
                    await self._rest(step.until)
                case Act.PROBE:
                    await self._look_for_server()
                case Act.LOOK:
                    await self._look_for_rival()
                case Act.JOIN:
                    await self._join()

    async def _rest(self, until: float) -> None:
        if self._routes.way is None:
            self._trouble("this device has no network")
            # What comes back may be another network, from which the server has another address.
            self._aim_by_name()
        self._routes.changed.clear()
        left_s = max(0.0, min(until - time.monotonic(), _LONGEST_REST_S))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left_s):
                await self._routes.changed.wait()

    def _aim_by_name(self) -> None:
        self._routes.aim(host_to_reach(self._urls[0], os.environ))

    async def _look_for_server(self) -> None:
        try:
            self._sight = await self._probe.first(self._urls)
        except UnreachableError as error:
            self._joining.probed(answered=False, now=time.monotonic())
            self._trouble(str(error), for_viewers=error.for_viewers)
            return
        self._routes.aim(self._sight.address)
        self._saw_server_time(self._sight.server_time_s)
        self._joining.probed(answered=True, now=time.monotonic())
        self._become(PresenceState.CONNECTING, self._why)

    def _saw_server_time(self, server_time_s: float | None) -> None:
        """Log how far this clock is from the server's, when that changes by much."""
        if server_time_s is None:
            return
        offset_s = self._clock.saw(server_time_s, time.time())
        if offset_s is not None:
            log.warning("clock.offset", offset_s=round(offset_s), hint="is time synchronisation running?")
            self._on_clock(offset_s)

    async def _look_for_rival(self) -> None:
        assert self._sight
        try:
            rival = await self._credentials.rival(self._sight, self._resolver)
        except CredentialError as error:
            log.info("room.rival_unknown", why=redacted(str(error)))
            rival = Rival.UNKNOWN
        if hold_s := self._joining.looked(rival, time.monotonic()):
            self._trouble(f"{reason_of(DUPLICATE_IDENTITY).text}; next look in {hold_s:.0f} s")

    async def _join(self) -> None:
        try:
            ended = await self._stay()
        except DeviceError as error:
            if not error.retry:
                raise
            delay_s = self._joining.failed(time.monotonic())
            self._urls = (*self._urls[1:], self._urls[0])  # the next of the list may do better
            self._trouble(redacted(str(error)), for_viewers=error.for_viewers, delay_s=delay_s)
            return
        self._away_since = now = time.monotonic()
        delay_s = self._joining.ended(ended.reason, stayed_s=ended.published_for_s, clean=ended.clean, now=now)
        log.info("room.left", reason=ended.reason, published_for_s=round(ended.published_for_s, 1))
        if ended.reason == DUPLICATE_IDENTITY:
            log.error("room.duplicate_identity", hint="two devices with one identity: set room.identity on one of them")
        self._trouble(reason_of(ended.reason).text, delay_s=delay_s)

    async def _stay(self) -> Ended:
        session = Session(
            await self._ticket(),
            tracks=self._tracks,
            attributes=self._attributes,
            on_publication=self._on_publication,
        )
        staying = asyncio.create_task(session.run(), name="session")
        looking = asyncio.create_task(self._look_after(session), name="vigil")
        try:
            await asyncio.wait({staying, looking}, return_when=asyncio.FIRST_COMPLETED)
            if looking.done():
                looking.result()  # a join that is stuck ends the process, as does a mistake of ours
            return await staying
        finally:
            looking.cancel()
            staying.cancel()
            await asyncio.gather(staying, looking, return_exceptions=True)

    async def _ticket(self) -> Ticket:
        """Obtain a ticket for a server that has just answered."""
        assert self._sight
        ticket = await self._credentials.obtain(self._sight, self._resolver)
        ticket.grants.demand_any(tuple(each.track.name for each in self._tracks))
        if ticket.url != self._sight.url:  # a token endpoint may name another server
            self._sight = await self._probe.look(ticket.url)
            self._routes.aim(self._sight.address)
        self._log_context.bind(identity=ticket.grants.identity, room=ticket.grants.room)
        self._claim.take((ticket.url, *self._urls), room=ticket.grants.room, identity=ticket.grants.identity)
        prepare_sdk(ticket.url)
        log.debug("room.joining", url=ticket.url)
        return ticket

    async def _look_after(self, session: Session) -> None:
        await self._vigil.until_live(session)
        if self._away_since is not None:
            self._attributes.set(room=f"back after {time.monotonic() - self._away_since:.0f} s: {self._why}")
            self._away_since = None
        await self._vigil.while_live(session, self._permitted)

    def _promise(self, within_s: float) -> None:
        self._promises.give("room", now=time.monotonic(), within_s=within_s)

    def _permitted(self, permitted: bool) -> None:  # noqa: FBT001 - a callback
        if permitted:
            self._become(PresenceState.LIVE, "")
        else:
            self._become(PresenceState.FORBIDDEN, "the right to publish was taken away")

    def _trouble(self, why: str, *, for_viewers: str = "", delay_s: float | None = None) -> None:
        """Log why the device is not in the room; viewers get the text that is composed for them."""
        if self._away_since is None:
            self._away_since = time.monotonic()
        self._become(PresenceState.WAITING, for_viewers or why)
        if times := self._troubles.worth_telling(why, time.monotonic()):
            delay_s = None if delay_s is None else round(delay_s, 2)
            log.warning("room.waiting", why=why, delay_s=delay_s, times=times)

    def _become(self, state: PresenceState, why: str) -> None:
        if state is not self.state:
            ends_well = PresenceState.LIVE in (state, self.state)
            (log.info if ends_well else log.debug)("room.state", old=self.state.value, new=state.value)
        if (state, why) != (self.state, self._why):
            self.state, self._why = state, why
            self._on_state(state, why)
