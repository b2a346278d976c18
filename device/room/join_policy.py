"""What to do next to join the room, and when. Pure: the caller supplies time and randomness, and acts.

A join needs a probe that was answered, and follows it after a random delay: when a server returns, all devices see it
at once. Times in seconds of the monotonic clock.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from device.backoff import Backoff
from device.room.reasons import Response
from device.tokens.join_token import IdentityHolder

if TYPE_CHECKING:
    from collections.abc import Callable

    from device.room.reasons import Reason

_FOREVER = float("inf")
_BACKOFF_BASE_S = 0.5
# Also after sessions that end at once.
_MIN_BETWEEN_JOINS_S = 1.0
_GHOST_S = 30.0  # a session that we did not leave in order may return: a pending join, a stopped server
_GHOST_RETRY_S = 2.0
_CHECK_AGAIN_S = 60.0
_UNKNOWN_FIRST_S, _UNKNOWN_MOST_S = 60.0, 3600.0
_CALM_S = 2 * _UNKNOWN_MOST_S  # after a session of this length no other participant uses the identity


class Action(enum.Enum):
    """What the caller does now, and the method that takes the result."""

    WAIT = "wait"  # until `until`, or until the route changes: route()
    PROBE = "probe"  # probed()
    CHECK_IDENTITY = "check identity"  # identity_checked()
    JOIN = "join"  # failed() or ended()


@dataclass(frozen=True, slots=True)
class Step:
    """The next thing to do; `until` belongs to WAIT."""

    action: Action
    until: float = _FOREVER


@dataclass(slots=True, kw_only=True)
class Joining:
    """Decides on probes, identity checks, joins and waits; there is always a next step."""

    probe_s: float
    spread_s: float
    max_s: float
    uniform: Callable[[float, float], float]
    has_route: bool = field(default=True, init=False)
    _backoff: Backoff = field(init=False)
    _hold_until: float = field(default=-_FOREVER, init=False)
    _hold_for_failure: bool = field(default=False, init=False)
    _probe_at: float = field(default=-_FOREVER, init=False)
    _join_at: float | None = field(default=None, init=False)
    _joined_at: float = field(default=-_FOREVER, init=False)
    _first: bool = field(default=True, init=False)
    _joining: bool = field(default=False, init=False)
    _contested: bool = field(default=False, init=False)
    _found_apart_s: float = field(default=0.0, init=False)
    _waits: int = field(default=0, init=False)
    _waited_for: str = field(default="", init=False)
    _unknown: int = field(default=0, init=False)
    _unclean_at: float = field(default=-_FOREVER, init=False)

    def __post_init__(self) -> None:
        # A failed join backs off; a session that ended does not.
        self._backoff = Backoff(base_s=_BACKOFF_BASE_S, cap_s=self.max_s, reset_after_s=_FOREVER, uniform=self.uniform)

    def retime(self, *, probe_s: float, spread_s: float, max_s: float) -> None:
        """Use other times for all that is decided from now on."""
        self.probe_s, self.spread_s, self.max_s = probe_s, spread_s, max_s
        self._backoff.cap_s = max_s

    def replaces(self, now: float) -> None:
        """Note that another connection was left for this one: a join that it had under way may still be completed."""
        self._unclean_at = now

    def about_to_join(self, now: float) -> bool:
        """Return whether nothing keeps this device outside of the room but the probe and the delay before a join."""
        return not self._joining and not self._contested and now >= self._hold_until

    def next(self, now: float) -> Step:
        """Return what to do now."""
        if not self.has_route or self._joining:
            return Step(Action.WAIT)
        due = max(self._hold_until, self._probe_at if self._join_at is None else self._join_at)
        if now < due:
            return Step(Action.WAIT, due)
        if self._join_at is None:
            self._probe_at = now + self.uniform(self.probe_s / 2, self.probe_s)
            return Step(Action.PROBE)
        if self._contested:
            return Step(Action.CHECK_IDENTITY)
        self._joined_at, self._first, self._join_at, self._joining = now, False, None, True
        return Step(Action.JOIN)

    def route(self, *, up: bool, now: float) -> None:
        """Note whether this device has a route to the server; when it returns, probe at once."""
        if up and not self.has_route:
            self._backoff.failures = 0
            self._probe_at = now
            if self._hold_for_failure:
                self._hold_until = now
        if not up:
            self._join_at, self._found_apart_s = None, 0.0
        self.has_route = up

    def probed(self, *, answered: bool, now: float) -> None:
        """Note what a probe has shown."""
        if not answered:
            self._first = False  # the server will return for many devices at once
            self._join_at, self._found_apart_s = None, 0.0
        elif self._join_at is None:
            delay_s = 0.0 if self._first else max(0.0, self.uniform(0.0, self.spread_s) - self._found_apart_s)
            self._join_at = max(now + delay_s, self._joined_at + _MIN_BETWEEN_JOINS_S)

    def identity_checked(self, identity_holder: IdentityHolder, now: float) -> float:
        """Note whether another participant has our identity; return the seconds to wait because of it."""
        if identity_holder is IdentityHolder.PRESENT:
            hold_s = self.uniform(_CHECK_AGAIN_S, _CHECK_AGAIN_S * 1.25)
        else:
            self._contested = False
            hold_s = 0.0
        if identity_holder is IdentityHolder.UNKNOWN:
            longest_s = min(_UNKNOWN_MOST_S, _UNKNOWN_FIRST_S * 2.0 ** min(self._unknown, 16))
            self._unknown += 1
            hold_s = self.uniform(longest_s, longest_s * 1.25)
        if hold_s:
            self._hold(hold_s, now)
        return hold_s

    def failed(self, now: float) -> float:
        """Note that a join failed; return the delay before the next probe."""
        delay_s = self._backoff.next_delay_s(went_well_for_s=0.0)
        self._found_apart_s = 0.0
        self._hold(delay_s, now)
        self._hold_for_failure = True
        self._unclean_at = now
        return delay_s

    def ended(self, reason: Reason, *, published_for_s: float, clean: bool, now: float) -> float:
        """Note why a session ended; return the seconds to wait before the next probe."""
        self._backoff.failures = 0
        self._found_apart_s = reason.found_apart_s
        ghost = now - self._unclean_at < _GHOST_S
        if published_for_s >= _CALM_S:
            self._unknown = 0
        delay_s = 0.0
        if reason.response is Response.WAIT:
            again = reason.name == self._waited_for and published_for_s < reason.most_s
            self._waits = self._waits + 1 if again else 0
            self._waited_for = reason.name
            delay_s = min(reason.most_s, reason.first_s * 2.0 ** min(self._waits, 16))
        elif reason.response is Response.CHECK_IDENTITY and ghost:
            delay_s = _GHOST_RETRY_S
        elif reason.response is Response.CHECK_IDENTITY:
            self._contested = True
        # Only once: a participant that appears later is not a leftover of our own session.
        self._unclean_at = -_FOREVER if clean else now
        self._hold(delay_s, now)
        return delay_s

    def _hold(self, delay_s: float, now: float) -> None:
        self._hold_for_failure = self._joining = False
        self._hold_until, self._probe_at, self._join_at = now + delay_s, now + delay_s, None
