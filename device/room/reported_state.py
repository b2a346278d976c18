"""The state of the connection to the room, and why: for the log, operators and viewers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from device.log_throttle import LogThrottle
from device.telemetry.room_state import RoomState

if TYPE_CHECKING:
    from collections.abc import Callable

    from device.telemetry.attributes import Attributes

log = structlog.get_logger()


class ReportedState:
    """`on_state` gets each state and why; `rejoins_because`: why another connection was left."""

    def __init__(
        self, on_state: Callable[[RoomState, str], None], attributes: Attributes, *, rejoins_because: str = ""
    ) -> None:
        self.state, self.why = RoomState.CONNECTING, rejoins_because
        self._on_state, self._attributes = on_state, attributes
        self._throttle = LogThrottle()
        self._away_since: float | None = None
        if rejoins_because:
            self.left()

    def begin(self) -> None:
        """Report why another connection was left, if it was."""
        if self.why:
            self._on_state(self.state, self.why)

    def left(self) -> None:
        """Note that the device is outside of the room from now on."""
        self._away_since = time.monotonic()

    def waits(self, why: str, *, for_viewers: str = "", delay_s: float | None = None) -> None:
        """Log why the device is not in the room; viewers get the text that is composed for them."""
        if self._away_since is None:
            self.left()
        self._become(RoomState.WAITING, for_viewers or why)
        if times := self._throttle.count_to_log(why, time.monotonic()):
            log.warning("room.waiting", why=why, delay_s=delay_s and round(delay_s, 2), times=times)

    def connects(self) -> None:
        self._become(RoomState.CONNECTING, self.why)

    def returned(self) -> None:
        """Report to viewers for how long the device was outside, and why."""
        if self._away_since is not None:
            self._attributes.set(room=f"back after {time.monotonic() - self._away_since:.0f} s: {self.why}")
            self._away_since = None

    def permitted(self, permitted: bool) -> None:  # noqa: FBT001 - a callback
        """Note that the device is in the room, and whether it may publish."""
        if permitted:
            self._become(RoomState.LIVE, "")
        else:
            self._become(RoomState.FORBIDDEN, "the right to publish was taken away")

    def _become(self, state: RoomState, why: str) -> None:
        if state is not self.state:
            ends_well = RoomState.LIVE in (state, self.state)
            (log.info if ends_well else log.debug)("room.state", old=self.state.value, new=state.value)
        if (state, why) != (self.state, self.why):
            self.state, self.why = state, why
            self._on_state(state, why)
