"""What to do with a worker next, and when. Pure: the caller supplies time, in seconds, and randomness, and acts.

A source that delivers nothing for too long is ended and restarted, for ever, with growing delays.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from device.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOKS_PER_STALL = 4
# Full jitter may draw next to nothing, again and again: a spawn costs a second of a small board's time.
_MIN_DELAY_S = 0.05


class Action(enum.Enum):
    """What the caller is to do now."""

    SPAWN = "spawn"  # then spawned() or ended()
    WATCH = "watch"  # until `until`, or until the worker is gone: ended()
    END = "end"  # ask, kill: 1 s in all; then ended()
    WAIT = "wait"  # until `until`, or until a device appears: appeared()


@dataclass(frozen=True, slots=True)
class Step:
    """The next thing to do; `until` belongs to WATCH and WAIT."""

    action: Action
    until: float = 0.0


@dataclass(slots=True, kw_only=True)
class RestartPolicy:
    """Decides over one worker, run after run; there is always a next step."""

    stall_s: float
    startup_s: float  # to the worker's hello: a small board imports for seconds
    first_s: float  # from there to the first unit or block
    uniform: Callable[[float, float], float]
    base_s: float = 0.25
    cap_s: float = 15.0
    reset_s: float = 30.0
    _backoff: Backoff = field(init=False)
    _due_at: float | None = field(default=None, init=False)  # dead if nothing came by then; None: no worker runs
    _patience_s: float = field(default=0.0, init=False)
    _first_at: float | None = field(default=None, init=False)
    _last_at: float = field(default=0.0, init=False)
    _greeted: bool = field(default=False, init=False)
    _wait_until: float = field(default=float("-inf"), init=False)

    def __post_init__(self) -> None:
        self._backoff = Backoff(base_s=self.base_s, cap_s=self.cap_s, reset_after_s=self.reset_s, uniform=self.uniform)

    def next(self, now: float) -> Step:
        """Return what to do now."""
        if self._due_at is None:
            return Step(Action.WAIT, self._wait_until) if now < self._wait_until else Step(Action.SPAWN)
        if now >= self._due_at:
            return Step(Action.END)
        return Step(Action.WATCH, min(self._due_at, now + self.stall_s / _LOOKS_PER_STALL))

    def spawned(self, now: float) -> None:
        """Note that a worker runs from now on."""
        self._first_at, self._greeted = None, False
        self._expect(self.startup_s, now)

    def greeted(self, now: float) -> None:
        """Note that the source is open: the first unit or block is due."""
        if self._first_at is None and not self._greeted:
            self._greeted = True
            self._expect(self.first_s, now)

    def saw(self, now: float) -> bool:
        """Note a unit or block; say whether it was this worker's first."""
        first = self._first_at is None
        if self._first_at is None:
            self._first_at = now
        self._last_at = now
        self._expect(self.stall_s, now)
        return first

    def silence(self) -> str:
        """Say in words why the worker counts as dead."""
        return f"nothing came for {self._patience_s:g} s"

    def ended(self, now: float) -> float:
        """Note that no worker runs; return the delay before the next."""
        fresh_for_s = 0.0 if self._first_at is None else self._last_at - self._first_at
        delay_s = max(_MIN_DELAY_S, self._backoff.next_delay_s(went_well_for_s=fresh_for_s))
        self._first_at, self._due_at, self._wait_until = None, None, now + delay_s
        return delay_s

    def appeared(self, now: float) -> None:
        """Note that a device has been plugged in: the next worker starts at once."""
        self._backoff.failures = 0
        self._wait_until = now

    def _expect(self, within_s: float, now: float) -> None:
        self._patience_s, self._due_at = within_s, now + within_s
