"""Stays in the room, for ever: one attempt at a time, each with a fresh token and a fresh Room."""

from __future__ import annotations

import asyncio
import enum
import random
import time
from typing import TYPE_CHECKING

import structlog

from device.backoff import Backoff
from device.errors import DeviceError
from device.log import LogContext, redacted
from device.repeats import Repeats
from device.room.session import Session, Track

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from device.room.attributes import Attributes
    from device.room.ticket import Credentials

log = structlog.get_logger()

_BASE_S, _CAP_S, _RESET_AFTER_S = 0.5, 30.0, 120.0


class PresenceState(enum.Enum):
    """Where the device is on its way into the room."""

    CONNECTING = "connecting"
    LIVE = "live"
    WAITING = "waiting"


class Presence:
    """Owns the connection to the room. `on_state` gets each change of state with a reason in words."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        tracks: Sequence[Track],
        attributes: Attributes,
        log_context: LogContext,
        on_state: Callable[[PresenceState, str], None],
    ) -> None:
        self.state = PresenceState.WAITING
        self._credentials = credentials
        self._tracks = tracks
        self._attributes = attributes
        self._log_context = log_context
        self._on_state = on_state

    async def run(self) -> None:
        """Join, stay, and join again, until cancelled; then leave in order."""
        backoff = Backoff(base_s=_BASE_S, cap_s=_CAP_S, reset_after_s=_RESET_AFTER_S, uniform=random.uniform)
        repeats, why = Repeats(), ""
        while True:
            self._become(PresenceState.CONNECTING, why)
            why, published_for_s = await self._stay_once()
            delay_s = backoff.next_delay_s(went_well_for_s=published_for_s)
            self._become(PresenceState.WAITING, why)
            if times := repeats.worth_telling(why, time.monotonic()):
                log.warning("room.retrying", why=why, delay_s=round(delay_s, 2), times=times)
            await asyncio.sleep(delay_s)

    async def _stay_once(self) -> tuple[str, float]:
        try:
            ticket = await self._credentials.obtain()
            ticket.grants.demand(tuple(each.track.name for each in self._tracks))
            self._log_context.bind(identity=ticket.grants.identity, room=ticket.grants.room)
            log.info("room.joining", url=ticket.url)
            session = Session(ticket, tracks=self._tracks, attributes=self._attributes)
            announcing = asyncio.create_task(self._announce(session), name="announce")
            try:
                ended = await session.run()
            finally:
                announcing.cancel()
        except DeviceError as error:
            if not error.retry:
                raise
            return redacted(str(error)), 0.0
        log.info("room.left", reason=ended.reason, published_for_s=round(ended.published_for_s, 1))
        return ended.reason, ended.published_for_s

    async def _announce(self, session: Session) -> None:
        await session.live.wait()
        self._become(PresenceState.LIVE, "")

    def _become(self, state: PresenceState, why: str) -> None:
        if state is not self.state:
            ends_well = PresenceState.LIVE in (state, self.state)
            (log.info if ends_well else log.debug)("room.state", old=self.state.value, new=state.value)
            self.state = state
            self._on_state(state, why)
