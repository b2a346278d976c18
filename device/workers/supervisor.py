"""Keeps one worker running, for ever: spawn, watch, end, wait, again. The room never notices but for a gap."""

from __future__ import annotations

import asyncio
import enum
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from device.backoff import Backoff
from device.repeats import Repeats
from device.workers.child import Child, running
from device.workers.freshness import Freshness
from device.workers.wire import Kind, Message

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger()

_REPLY_DUE_S = 2.0
_LOOKS_PER_STALL = 4
_LOG_LEVELS = frozenset({"debug", "info", "warning", "error"})


class WorkerState(enum.Enum):
    """How a worker is; the values are what viewers read in the attributes."""

    STARTING = "starting"
    LIVE = "live"
    STALLED = "stalled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run, and when to give up on one run of it. Times in seconds."""

    name: str
    module: str
    settings: dict[str, Any]
    stall_s: float
    startup_s: float = 30.0  # to the worker's hello: a small board imports for seconds
    first_s: float = 10.0  # from there to the first unit or block
    backoff_base_s: float = 0.25
    backoff_cap_s: float = 15.0
    backoff_reset_s: float = 30.0


class Supervisor:
    """Owns one worker. `on_media` gets its units or blocks, `on_state` each change of state."""

    def __init__(
        self,
        plan: Plan,
        *,
        on_media: Callable[[Message], None],
        on_state: Callable[[WorkerState, str], None],
    ) -> None:
        self.plan = plan
        self.state = WorkerState.STARTING
        self._on_media = on_media
        self._on_state = on_state
        self._child: Child | None = None
        self._freshness = Freshness(stall_s=plan.stall_s, startup_s=plan.startup_s, started_at=time.monotonic())
        self._unanswered: dict[int, tuple[str, float]] = {}
        self._next_id = 0

    async def run(self) -> None:
        """Run the worker until cancelled."""
        backoff = Backoff(
            base_s=self.plan.backoff_base_s,
            cap_s=self.plan.backoff_cap_s,
            reset_after_s=self.plan.backoff_reset_s,
            uniform=random.uniform,
        )
        repeats = Repeats()
        while True:
            try:
                why = await self._run_once()
            except OSError as error:  # no memory or no descriptors left, for a while
                why = f"it cannot be started: {error.strerror}"
            delay_s = backoff.next_delay_s(went_well_for_s=self._freshness.fresh_for_s())
            self._become(WorkerState.STALLED, why)
            if times := repeats.worth_telling(why, time.monotonic()):
                log.warning("worker.restarting", worker=self.plan.name, why=why, delay_s=round(delay_s, 3), times=times)
            await asyncio.sleep(delay_s)
            self._become(WorkerState.STARTING, why)

    def command(self, name: str, value: object = None) -> None:
        """Send a command; that it stays unanswered is logged. Without a worker it is dropped."""
        self._next_id += 1
        if self._child is None or not self._child.send(
            Kind.COMMAND, {"id": self._next_id, "name": name, "value": value}
        ):
            log.debug("worker.command_dropped", worker=self.plan.name, command=name)
            return
        self._unanswered[self._next_id] = (name, time.monotonic() + _REPLY_DUE_S)

    async def _run_once(self) -> str:
        self._freshness = Freshness(
            stall_s=self.plan.stall_s, startup_s=self.plan.startup_s, started_at=time.monotonic()
        )
        self._unanswered.clear()
        async with running(
            name=self.plan.name,
            module=self.plan.module,
            settings=self.plan.settings,
            on_message=self._on_message,
        ) as child:
            self._child = child
            try:
                why = await self._watch(child)
            finally:
                self._child = None
        return why or child.last_words

    async def _watch(self, child: Child) -> str:
        """Wait until the worker is gone or its source dead; return why."""
        while True:
            now = time.monotonic()
            left_s = self._freshness.dead_at() - now
            if left_s <= 0:
                return f"nothing came for {now - self._freshness.dead_at() + self._patience_s():.1f} s"
            self._look_for_replies(now)
            done, _ = await asyncio.wait({child.gone}, timeout=min(left_s, self.plan.stall_s / _LOOKS_PER_STALL))
            if done:
                return child.gone.result()

    def _patience_s(self) -> float:
        return self.plan.stall_s if self.state is WorkerState.LIVE else self._freshness.startup_s

    def _look_for_replies(self, now: float) -> None:
        for number, (name, due_at) in list(self._unanswered.items()):
            if due_at < now:
                del self._unanswered[number]
                log.warning("worker.command_unanswered", worker=self.plan.name, command=name)

    def _on_message(self, message: Message) -> None:
        if message.kind in (Kind.UNIT, Kind.BLOCK):
            if self._freshness.saw(time.monotonic()):
                self._become(WorkerState.LIVE, "")
            self._on_media(message)
        elif message.kind is Kind.REPLY:
            reply = message.json()
            name, _ = self._unanswered.pop(reply.get("id", 0), ("", 0.0))
            if reply.get("error"):
                log.warning("worker.command_failed", worker=self.plan.name, command=name, error=str(reply["error"]))
        elif message.kind is Kind.HELLO:
            self._freshness.greeted(time.monotonic(), within_s=self.plan.first_s)
            log.info("worker.capturing", worker=self.plan.name, **_fields(message))
        elif message.kind is Kind.LOG:
            fields = _fields(message)
            level, event = str(fields.pop("level", "info")), str(fields.pop("event", "worker.log"))
            getattr(log, level if level in _LOG_LEVELS else "info")(event, worker=self.plan.name, **fields)

    def _become(self, state: WorkerState, why: str) -> None:
        if state is self.state:
            return
        ends_well = WorkerState.LIVE in (state, self.state)
        (log.info if ends_well else log.debug)(
            "worker.state", worker=self.plan.name, old=self.state.value, new=state.value, why=why or None
        )
        self.state = state
        self._on_state(state, why)


def _fields(message: Message) -> dict[str, Any]:
    """Return a worker's fields under names that cannot collide with ours."""
    return {f"{key}_" if key in ("worker", "exc_info") else str(key): value for key, value in message.json().items()}
