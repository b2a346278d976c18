"""Decides when a worker is started, watched and ended. Pure: the caller supplies time, in seconds, and randomness.

A worker that delivers nothing for too long is ended and restarted, without a limit, with increasing delays.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from device.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from device.ipc.worker_plan import WorkerPlan

_CHECKS_PER_STALL = 4
# Full jitter may return almost 0 several times in a row, and a start takes a second on a small board.
_MIN_DELAY_S = 0.05
# A device that was connected becomes usable later than its name appears: drivers and permissions follow.
_TRIES_PER_DEVICE = 4


class Action(enum.Enum):
    """What the caller does next, and which method it calls then."""

    SPAWN = "spawn"  # start a worker; then spawned() or ended()
    WATCH = "watch"  # wait until `until`, or until the worker has ended: ended()
    END = "end"  # close its socket, then kill it, within 1 s; then ended()
    WAIT = "wait"  # wait until `until`, or until a device is connected: device_connected()


@dataclass(frozen=True, slots=True)
class Step:
    """The next action; `until` is set for WATCH and WAIT."""

    action: Action
    until: float = 0.0


@dataclass(slots=True, kw_only=True)
class RestartPolicy:
    """The restart policy of one worker, across its runs; there is always a next step."""

    stall_s: float
    startup_s: float  # from the start to the `Capturing` message: imports take seconds on a small board
    first_s: float  # from that message to the first unit or block
    uniform: Callable[[float, float], float]
    base_s: float = 0.25
    cap_s: float = 15.0
    reset_s: float = 30.0
    _backoff: Backoff = field(init=False)
    _due_at: float | None = field(default=None, init=False)  # the deadline for the next message; None: no worker runs
    _timeout_s: float = field(default=0.0, init=False)
    _first_at: float | None = field(default=None, init=False)
    _last_at: float = field(default=0.0, init=False)
    _capturing: bool = field(default=False, init=False)
    _encoder_replaced: bool = field(default=False, init=False)
    _wait_until: float = field(default=float("-inf"), init=False)
    _tries: int = field(default=1, init=False)  # the starts that are left before only a new device causes another

    @classmethod
    def of_plan(cls, plan: WorkerPlan, *, uniform: Callable[[float, float], float]) -> RestartPolicy:
        return cls(
            stall_s=plan.stall_s,
            startup_s=plan.startup_s,
            first_s=plan.first_s,
            base_s=plan.backoff_base_s,
            cap_s=plan.backoff_cap_s,
            reset_s=plan.backoff_reset_s,
            uniform=uniform,
        )

    def __post_init__(self) -> None:
        self._backoff = Backoff(base_s=self.base_s, cap_s=self.cap_s, reset_after_s=self.reset_s, uniform=self.uniform)

    def next(self, now: float) -> Step:
        """Return the action for now."""
        if self._due_at is None:
            return Step(Action.WAIT, self._wait_until) if now < self._wait_until else Step(Action.SPAWN)
        if now >= self._due_at:
            return Step(Action.END)
        return Step(Action.WATCH, min(self._due_at, now + self.stall_s / _CHECKS_PER_STALL))

    def spawned(self, now: float) -> None:
        """Record that a worker runs."""
        self._first_at, self._capturing, self._encoder_replaced = None, False, False
        self._expect(self.startup_s, now)

    def capturing(self, now: float) -> None:
        """Record that the source is open; the first unit or block is expected next."""
        if self._first_at is None and not self._capturing:
            self._capturing = True
            self._expect(self.first_s, now)

    def encoder_replaced(self, now: float) -> None:
        """Record that the worker loads another encoder: the next unit may take as long as a first one, once in a run.

        Libx264 is loaded only then. That takes seconds on a small board, after a second in which the old one stalled.
        """
        if not self._encoder_replaced:
            self._encoder_replaced = True
            self._expect(self.first_s, now)

    def delivered(self, now: float) -> bool:
        """Record a unit or block; return whether it was this worker's first."""
        first = self._first_at is None
        if self._first_at is None:
            self._first_at = now
        self._last_at = now
        self._expect(self.stall_s, now)
        return first

    def stall_text(self) -> str:
        """Return why the worker is ended, as text."""
        return f"nothing came for {self._timeout_s:g} s"

    def ended(self, now: float, *, not_present: bool = False) -> float:
        """Record that no worker runs; return the delay before the next start.

        With `not_present` there was nothing to capture, and that is no fault: after the tries that a new device gets,
        the delay is infinite, and only `device_connected` ends it.
        """
        delivered_for_s = 0.0 if self._first_at is None else self._last_at - self._first_at
        delay_s = max(_MIN_DELAY_S, self._backoff.next_delay_s(went_well_for_s=delivered_for_s))
        self._tries = max(0, self._tries - 1)
        if not_present and not self._tries:
            delay_s = float("inf")
        self._first_at, self._due_at, self._wait_until = None, None, now + delay_s
        return delay_s

    def device_connected(self, now: float) -> None:
        """Record that a device was connected: the next worker starts at once."""
        self._backoff.failures = 0
        self._wait_until = now
        self._tries = _TRIES_PER_DEVICE

    def replaced(self) -> None:
        """Record that the worker was ended for a new job: the next one starts at once."""
        self._backoff.failures = 0
        self._first_at, self._due_at, self._wait_until = None, None, float("-inf")

    def _expect(self, within_s: float, now: float) -> None:
        self._timeout_s, self._due_at = within_s, now + within_s
