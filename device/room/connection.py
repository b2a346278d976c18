"""Keeps the device in the room: carries out `join_policy`, one session at a time, each with a new Room."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import TYPE_CHECKING

import structlog

from device.errors import CredentialError, DeviceError, UnreachableError
from device.lifecycle.memory_policy import Moment
from device.network import rules
from device.network.probe import Probe
from device.network.proxy import host_to_reach
from device.network.sdk import sdk_connects_to
from device.redaction import redacted
from device.room.claim import IdentityClaim
from device.room.join_policy import Action, Joining
from device.room.reasons import DUPLICATE_IDENTITY
from device.room.reported_state import ReportedState
from device.room.session_monitor import SessionMonitor
from device.tokens.join_token import IdentityHolder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from device.clock import ServerClock
    from device.config.effective import Reconnect
    from device.lifecycle.deadlines import Deadlines
    from device.log import LogContext
    from device.network.probe import ProbeResult
    from device.room.dependencies import RoomDependencies
    from device.room.session import Session, SessionEnd
    from device.telemetry.attributes import Attributes
    from device.telemetry.room_state import PublishState, RoomState
    from device.tokens.join_token import JoinToken
    from device.tracks.track import Track

log = structlog.get_logger()

# Each step has limits of its own. The longest one is three requests to a token endpoint, 10 s each.
_LONGEST_WAIT_S, _STEP_DUE_S, _MONITOR_DUE_S = 60.0, 90.0, 15.0


class RoomConnection:
    """Owns the connection to the room. `on_state` gets each state and why; `rejoins_because`: why another was left."""

    def __init__(
        self,
        dependencies: RoomDependencies,
        *,
        reconnect: Reconnect,
        stall_s: float,
        tracks: Sequence[Track],
        attributes: Attributes,
        log_context: LogContext,
        on_state: Callable[[RoomState, str], None],
        on_publication: Callable[[str, PublishState], None],
        clock: ServerClock,
        on_clock: Callable[[float], None],
        deadlines: Deadlines,
        rejoins_because: str = "",
    ) -> None:
        self._state = ReportedState(on_state, attributes, rejoins_because=rejoins_because)
        self._urls, self._token_source = dependencies.urls, dependencies.token_source
        self._dependencies, self._routes, self._resolver = dependencies, dependencies.routes, dependencies.resolver
        self._between_sessions = dependencies.between_sessions
        self._probe = Probe(dependencies.resolver)
        self._deadlines = deadlines
        self._monitor = SessionMonitor(
            probe=self._probe,
            routes=self._routes,
            urls=self._urls,
            stall_s=stall_s,
            probe_s=reconnect.probe_s,
            on_step=lambda: self._extend_deadline(_MONITOR_DUE_S),
        )
        self._joining = Joining(
            probe_s=reconnect.probe_s, spread_s=reconnect.spread_s, max_s=reconnect.max_s, uniform=random.uniform
        )
        self._tracks, self._attributes, self._log_context = tracks, attributes, log_context
        self._on_publication = on_publication
        self._clock, self._on_clock = clock, on_clock
        self._claim = IdentityClaim()
        self._session: Session | None = None
        self._probed: ProbeResult | None = None

    def retime(self, reconnect: Reconnect, *, stall_s: float) -> None:
        """Use other times from now on, without leaving the room."""
        self._joining.retime(probe_s=reconnect.probe_s, spread_s=reconnect.spread_s, max_s=reconnect.max_s)
        self._monitor.probe_s, self._monitor.stall_s = reconnect.probe_s, stall_s

    @property
    def moment(self) -> Moment:
        """What viewers would notice if this process ended now."""
        if self._session is not None:
            return self._session.moment
        return Moment.AWAY if self._joining.about_to_join(time.monotonic()) else Moment.BUSY

    async def run(self) -> None:
        """Join, and join again after each session, until cancelled; then leave the room in order."""
        self._state.begin()
        if self._state.why:
            self._joining.replaces(time.monotonic())
        try:
            await self._keep_joined()
        finally:
            self._claim.release()

    async def _keep_joined(self) -> None:
        self._route_by_name()
        while True:
            self._joining.route(up=self._routes.local_route is not None, now=time.monotonic())
            step = self._joining.next(time.monotonic())
            self._extend_deadline(_STEP_DUE_S)
            match step.action:
                case Action.WAIT:
                    await self._wait(step.until)
                case Action.PROBE:
                    await self._between_sessions()
                    await self._probe_server()
                case Action.CHECK_IDENTITY:
                    await self._check_identity()
                case Action.JOIN:
                    await self._join()

    async def _wait(self, until: float) -> None:
        if self._routes.local_route is None:
            self._state.waits("this device has no network")
            # In another network the server may have another address.
            self._route_by_name()
        self._routes.changed.clear()
        left_s = max(0.0, min(until - time.monotonic(), _LONGEST_WAIT_S))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left_s):
                await self._routes.changed.wait()

    def _route_by_name(self) -> None:
        self._routes.set_target(host_to_reach(self._urls[0], rules.settings()))

    async def _probe_server(self) -> None:
        try:
            self._probed = await self._probe.first(self._urls)
        except UnreachableError as error:
            self._joining.probed(answered=False, now=time.monotonic())
            self._state.waits(str(error), for_viewers=error.for_viewers)
            return
        self._routes.set_target(self._probed.address)
        if self._probed.server_time_s is not None:
            self._compare_clocks(self._probed.server_time_s)
        self._joining.probed(answered=True, now=time.monotonic())
        self._state.connects()

    def _compare_clocks(self, server_time_s: float) -> None:
        """Log how far this clock is from the server's, when that changes by much."""
        if (offset_s := self._clock.update(server_time_s, time.time())) is not None:
            self._on_clock(offset_s)
            hint = "is time synchronisation running?" if offset_s else "the clocks agree again"
            (log.warning if offset_s else log.info)("clock.offset", offset_s=round(offset_s), hint=hint)

    async def _check_identity(self) -> None:
        assert self._probed
        try:
            identity_holder = await self._token_source.identity_holder(self._probed, self._resolver)
        except CredentialError as error:
            log.info("room.identity_holder_unknown", why=redacted(str(error)))
            identity_holder = IdentityHolder.UNKNOWN
        if hold_s := self._joining.identity_checked(identity_holder, time.monotonic()):
            self._state.waits(f"{DUPLICATE_IDENTITY.text}; next check in {hold_s:.0f} s")

    async def _join(self) -> None:
        assert self._probed
        try:
            join_token = await self._join_token()
            async with sdk_connects_to(self._probed, self._resolver):
                ended = await self._run_session(join_token)
        except DeviceError as error:
            if not error.retry:
                raise
            delay_s = self._joining.failed(time.monotonic())
            self._urls = (*self._urls[1:], self._urls[0])  # try the next server of the list
            self._state.waits(redacted(str(error)), for_viewers=error.for_viewers, delay_s=delay_s)
            return
        self._state.left()
        now = time.monotonic()
        delay_s = self._joining.ended(ended.reason, published_for_s=ended.published_for_s, clean=ended.clean, now=now)
        log.info("room.left", reason=ended.reason.name, published_for_s=round(ended.published_for_s, 1))
        if ended.reason is DUPLICATE_IDENTITY:
            log.error("room.duplicate_identity", hint="two devices with one identity: set room.identity on one of them")
        self._state.waits(ended.reason.text, delay_s=delay_s)

    async def _run_session(self, join_token: JoinToken) -> SessionEnd:
        session = self._session = self._dependencies.session(
            join_token, tracks=self._tracks, attributes=self._attributes, on_publication=self._on_publication
        )
        running = asyncio.create_task(session.run(), name="session")
        monitoring = asyncio.create_task(self._monitor_session(session), name="session-monitor")
        try:
            await asyncio.wait({running, monitoring}, return_when=asyncio.FIRST_COMPLETED)
            if monitoring.done():
                monitoring.result()  # raises the error of a stuck join, which ends the process
            return await running
        finally:
            self._session = None
            monitoring.cancel()
            running.cancel()
            await asyncio.gather(running, monitoring, return_exceptions=True)

    async def _join_token(self) -> JoinToken:
        """Obtain a join token for a server that has just answered."""
        assert self._probed
        join_token = await self._token_source.obtain(self._probed, self._resolver)
        grants = join_token.grants
        grants.require_any(tuple(dict.fromkeys(each.kind for each in self._tracks)))
        if join_token.url != self._probed.url:  # a token endpoint may name another server
            self._probed = await self._probe.probe(join_token.url)
            self._routes.set_target(self._probed.address)
        self._log_context.bind(identity=grants.identity, room=grants.room)
        self._claim.take((join_token.url, *self._urls), room=grants.room, identity=grants.identity)
        log.debug("room.joining", url=join_token.url)
        return join_token

    async def _monitor_session(self, session: Session) -> None:
        await self._monitor.until_live(session)
        self._state.returned()
        await self._monitor.while_live(session, self._state.permitted)

    def _extend_deadline(self, within_s: float) -> None:
        self._deadlines.extend("room", now=time.monotonic(), within_s=within_s)
