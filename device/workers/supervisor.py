"""Keeps one worker running, for ever: carries out what `recovery` decides. The room never notices but for a gap."""

from __future__ import annotations

import asyncio
import enum
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from device.errors import SourceAbsentError, SourceError
from device.repeats import Repeats
from device.room.attributes import public_text
from device.workers import claims, plugging
from device.workers.child import Child, running
from device.workers.recovery import Act, Recovery
from device.workers.wire import Kind, Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from device.health.promises import Promises

log = structlog.get_logger()

_REPLY_DUE_S = 2.0
_PERIODS = 3.0  # a source is silent after three periods of its own rate, if that is slower
# To be heard of again: after a look, and after a worker's start and end, which are bounded in themselves.
_LOOK_DUE_S, _STEP_DUE_S = 30.0, 60.0
_SOURCES_FAILURES = frozenset({SourceError.__name__, SourceAbsentError.__name__})
_LOG_LEVELS = frozenset({"debug", "info", "warning", "error"})


class WorkerState(enum.Enum):
    """How a worker is; the values are what viewers read in the attributes."""

    STARTING = "starting"
    LIVE = "live"
    STALLED = "stalled"
    ABSENT = "absent"


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
    """Owns one worker. `on_media` gets its units or blocks, `on_state` each change of state.

    `on_notice` gets what is odd about a source that delivers, empty when that is over; these texts are for viewers.
    `on_failure` gets why a worker ended, for operators.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        on_media: Callable[[Message], None],
        on_state: Callable[[WorkerState, str], None],
        on_notice: Callable[[str], None] = lambda _text: None,
        on_failure: Callable[[str], None] = lambda _why: None,
        promises: Promises,
    ) -> None:
        self.plan = plan
        self.state, self._why = WorkerState.STARTING, ""
        self.begun = asyncio.Event()  # the first start was made, or failed
        self._on_media = on_media
        self._on_state = on_state
        self._on_notice = on_notice
        self._on_failure = on_failure
        self._promises = promises
        self._child: Child | None = None
        self._failure = ""
        self._recovery = Recovery(
            stall_s=plan.stall_s,
            startup_s=plan.startup_s,
            first_s=plan.first_s,
            base_s=plan.backoff_base_s,
            cap_s=plan.backoff_cap_s,
            reset_s=plan.backoff_reset_s,
            uniform=random.uniform,
        )
        self._repeats = Repeats()
        self._unanswered: dict[int, tuple[str, float]] = {}
        self._next_id = 0
        self._greeted_at: float | None = None  # when the worker said that it captures

    async def run(self) -> None:
        """Run the worker until cancelled."""
        devices = plugging.present()
        while True:
            step = self._recovery.next(time.monotonic())
            if step.act is Act.REST:
                await self._rest(step.until, devices if self._failure in _SOURCES_FAILURES else None)
                continue
            devices = plugging.present()
            self._promise(_STEP_DUE_S)
            try:
                why, for_viewers = await self._run_once()
            except OSError as error:  # no memory or no descriptors left, for a while
                why = for_viewers = f"it cannot be started: {error.strerror}"
                self._failure = ""
                self.begun.set()
            delay_s = self._recovery.ended(time.monotonic())
            self._on_failure(why)
            self._become(self._away(), for_viewers)
            if times := self._repeats.worth_telling(why, time.monotonic()):
                log.warning("worker.restarting", worker=self.plan.name, why=why, delay_s=round(delay_s, 3), times=times)

    def command(self, name: str, value: object = None) -> None:
        """Send a command; that it stays unanswered is logged. Without a worker it is dropped."""
        self._next_id += 1
        if self._child is None or not self._child.send(
            Kind.COMMAND, {"id": self._next_id, "name": name, "value": value}
        ):
            log.debug("worker.command_dropped", worker=self.plan.name, command=name)
            return
        self._unanswered[self._next_id] = (name, time.monotonic())

    async def _rest(self, until: float, devices: frozenset[str] | None) -> None:
        """Wait for the next start; after a source that failed, what is plugged in may be what was missing."""
        left_s = max(0.0, until - time.monotonic())
        self._promise(left_s + _LOOK_DUE_S)
        if devices is None:
            await asyncio.sleep(left_s)
        elif await plugging.appearance(devices, within_s=left_s):
            log.info("worker.plugged_in", worker=self.plan.name)
            self._recovery.appeared(time.monotonic())

    async def _run_once(self) -> tuple[str, str]:
        """Run one worker to its end; return why it ended, for operators and for viewers."""
        self._unanswered.clear()
        self._greeted_at = None
        self._recovery.spawned(time.monotonic())
        async with running(
            name=self.plan.name,
            module=self.plan.module,
            settings=self.plan.settings,
            on_message=self._on_message,
        ) as child:
            self._child = child
            self.begun.set()
            try:
                why = await self._watch(child)
            finally:
                self._child = None
                self._promise(_STEP_DUE_S)
            self._failure = child.failure
            if why:  # at once: the end of a worker that hangs takes a second
                self._become(self._away(), child.for_viewers or why)
        return child.last_words or why, child.for_viewers or why

    async def _watch(self, child: Child) -> str:
        """Wait until the worker is gone or its source dead; return why."""
        while True:
            now = time.monotonic()
            step = self._recovery.next(now)
            if step.act is not Act.WATCH:
                return self._recovery.silence()
            self._promise(_LOOK_DUE_S)
            self._look_for_replies(now)
            done, _ = await asyncio.wait({child.gone}, timeout=step.until - now)
            if done:
                return child.gone.result()

    def _away(self) -> WorkerState:
        return WorkerState.ABSENT if self._failure == SourceAbsentError.__name__ else WorkerState.STALLED

    def _promise(self, within_s: float) -> None:
        self._promises.give(self.plan.name, now=time.monotonic(), within_s=within_s)

    def _look_for_replies(self, now: float) -> None:
        if self._greeted_at is None:  # it still starts: a small board imports for seconds
            return
        for number, (name, sent_at) in list(self._unanswered.items()):
            if now - max(sent_at, self._greeted_at) > _REPLY_DUE_S:
                del self._unanswered[number]
                log.warning("worker.command_unanswered", worker=self.plan.name, command=name)

    def _on_message(self, message: Message) -> None:
        if message.kind in (Kind.UNIT, Kind.BLOCK):
            self._recovery.saw(time.monotonic())
            if self.state is not WorkerState.LIVE:
                self._become(WorkerState.LIVE, "")
            self._on_media(message)
        elif message.kind is Kind.REPLY:
            reply = claims.fields_of(message)
            number = reply.get("id")
            name, _ = self._unanswered.pop(number if isinstance(number, int) else 0, ("", 0.0))
            if reply.get("error"):
                log.warning("worker.command_failed", worker=self.plan.name, command=name, error=str(reply["error"]))
        elif message.kind is Kind.HELLO:
            self._greeted_at = self._greeted_at or time.monotonic()
            self._recovery.greeted(time.monotonic())
            self._recovery.stall_s = max(self.plan.stall_s, _PERIODS / claims.fps_of(message))
            log.info("worker.capturing", worker=self.plan.name, **claims.fields_of(message))
        elif message.kind is Kind.NOTICE:
            self._notice(public_text(str(message.json().get("text", ""))))
        elif message.kind is Kind.LOG:
            fields = claims.fields_of(message)
            level, event = str(fields.pop("level_", "")), str(fields.pop("event_", "worker.log"))
            write = getattr(log, level if level in _LOG_LEVELS else "info")
            write(public_text(event), worker=self.plan.name, **fields)

    def _notice(self, text: str) -> None:
        """Tell what is odd about a source that delivers; nothing is done about it."""
        if self.state is WorkerState.LIVE:
            log.warning("worker.odd", worker=self.plan.name, what=text or "it is over")
            self._on_notice(text)

    def _become(self, state: WorkerState, why: str) -> None:
        if (state, why) == (self.state, self._why):
            return
        self._on_state(state, why)  # if that fails, nothing has changed: the next unit tries again
        old, self.state, self._why = self.state, state, why
        if state is not old:
            ends_well = WorkerState.LIVE in (state, old)
            (log.info if ends_well else log.debug)(
                "worker.state", worker=self.plan.name, old=old.value, new=state.value, why=why or None
            )
