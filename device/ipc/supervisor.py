"""Keeps one worker running, for ever: acts on `restart_policy`. Room and other streams go on meanwhile."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

import structlog

from device.ipc import hotplug, untrusted, worker_log
from device.ipc.hold import Hold, done_before
from device.ipc.media_messages import SnapshotPiece, SpeakerReport
from device.ipc.messages import Capturing, Degraded, Done, Dropped, LogRecord, NotSent
from device.ipc.requester import Requester
from device.ipc.restart_policy import Action, RestartPolicy
from device.ipc.worker_counts import WorkerCounts
from device.ipc.worker_process import running, spawn
from device.ipc.worker_state import SOURCES_FAILURES, WorkerState, failed_state
from device.log_throttle import LogThrottle
from device.media.block import Block
from device.media.picture import AccessUnit
from device.redaction import public_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from device.ipc.framing import Received
    from device.ipc.worker_plan import WorkerPlan
    from device.ipc.worker_process import SpawnedWorker, WorkerProcess
    from device.lifecycle.deadlines import Deadlines

log = structlog.get_logger()

_PERIODS = 3.0  # a source is silent after three periods of its own rate, if that is slower
# The deadline while a worker is watched, and over its start and end, which have limits of their own.
_WATCH_DUE_S, _STEP_DUE_S = 30.0, 60.0


class Supervisor:
    """Owns one worker. `on_media` gets its units, blocks or reports, `on_state` each change of state.

    `on_notice` gets how a source that delivers is degraded, empty when it has recovered; these texts are for viewers.
    `on_failure` gets why a worker ended, for operators. `spawned` is a worker that was started ahead. `requests` sends
    requests to whichever worker runs. Unless its source is `known`, it may be missing without being a fault; `on_known`
    is called each time that it is open. `hold` ends its worker until `release`.
    """

    def __init__(
        self,
        plan: WorkerPlan,
        *,
        requests: Requester | None = None,
        spawned: SpawnedWorker | None = None,
        on_media: Callable[[Any], None],
        on_state: Callable[[WorkerState, str], None],
        on_notice: Callable[[str], None] = lambda _text: None,
        on_failure: Callable[[str], None] = lambda _why: None,
        known: bool = True,
        on_known: Callable[[], None] = lambda: None,
        deadlines: Deadlines,
    ) -> None:
        self.plan, self.requests, self.counts = plan, requests or Requester(plan.name), WorkerCounts()
        self.state, self._why = WorkerState.STARTING, ""
        self._on_media, self._on_state = on_media, on_state
        self._on_notice, self._on_failure = on_notice, on_failure
        self._known, self._on_known = known, on_known
        self._deadlines = deadlines
        self._failure = self._why_replaced = ""
        self._spawned = spawned
        self.capturing: Capturing | None = None
        self._restarts = RestartPolicy.of_plan(plan, uniform=random.uniform)
        self._throttle = LogThrottle()
        self._replaced = asyncio.Event()  # the worker that runs has to end
        self.held, self.unkillable = Hold(), False

    def replace_plan(self, plan: WorkerPlan, *, known: bool = True) -> None:
        """Use another plan for each following start."""
        self.plan, self._known = plan, known
        self._limit_stall()

    def restart(self, why: str) -> None:
        """End the present worker and start another one at once; while it is held, do nothing."""
        if not self.held.active:
            self._end_worker(WorkerState.STARTING, why)

    def hold(self, state: WorkerState = WorkerState.PRIVACY) -> None:
        """End the present worker, take nothing more from it, and run none until `release` for the same state."""
        self.held.begin(state)
        self._end_worker(self.held.state, self.held.why_over)

    def _end_worker(self, state: WorkerState, why_replaced: str) -> None:
        self._why_replaced = why_replaced
        self._become(state, "")
        self._replaced.set()

    def release(self, state: WorkerState = WorkerState.PRIVACY) -> None:
        """Start a worker at once, if there is no other hold."""
        if self.held.has(state):
            ended = self.held.end(state)
            self._become(WorkerState.STARTING if ended else self.held.state, "")

    async def run(self) -> None:
        """Run the worker until cancelled."""
        devices = hotplug.present()
        while True:
            await self.held.pause(self._extend_deadline)
            if self._replaced.is_set():
                self._restarts.replaced()
            step = self._restarts.next(time.monotonic())
            if step.action is Action.WAIT:
                await self._wait(step.until, devices if self._failure in SOURCES_FAILURES else None)
                continue
            devices = hotplug.present()
            self._extend_deadline(_STEP_DUE_S)
            try:
                why, for_viewers = await self._run_once()
            except OSError as error:  # no memory or no descriptors left, for a while
                why = for_viewers = f"it cannot be started: {error.strerror}"
                self._failure = ""
                self.counts.not_started()
            if self._replaced.is_set():
                if not self.held.active:
                    log.info("worker.restarting", worker=self.plan.name, why=self._why_replaced, delay_s=0.0)
                continue
            state = failed_state(self._failure, known=self._known)
            delay_s = self._restarts.ended(time.monotonic(), not_present=state is WorkerState.NOT_PRESENT)
            self._on_failure(why)
            self._become(state, for_viewers)
            if state is WorkerState.NOT_PRESENT:
                log.info("worker.not_present", worker=self.plan.name, why=why)
            elif times := self._throttle.count_to_log(why, time.monotonic()):
                log.warning("worker.restarting", worker=self.plan.name, why=why, delay_s=round(delay_s, 3), times=times)

    async def _wait(self, until: float, devices: frozenset[str] | None) -> None:
        """Wait for the next start. A new plan ends the wait; so does a connected device, after a source failed."""
        left_s = max(0.0, until - time.monotonic())
        self._extend_deadline(left_s + _WATCH_DUE_S)
        wait = (
            asyncio.sleep(left_s, result=False)
            if devices is None
            else hotplug.wait_for_device(devices, within_s=left_s, on_look=self._extend_deadline)
        )
        connected = asyncio.create_task(wait, name=f"{self.plan.name}-wait")
        try:
            if await done_before(connected, self._replaced) and connected.result():
                log.info("worker.device_connected", worker=self.plan.name)
                self._restarts.device_connected(time.monotonic())
        finally:
            connected.cancel()

    async def _run_once(self) -> tuple[str, str]:
        """Run one worker to its end; return why it ended, for operators and for viewers."""
        self.capturing = None
        self._restarts.spawned(time.monotonic())
        spawned, self._spawned = self._spawned, None
        if spawned is None:
            self._replaced.clear()
            spawned = await spawn(name=self.plan.name, module=self.plan.module, job=self.plan.job)
        self.counts.began(spawned.process.pid)
        async with running(spawned, on_message=self._on_message) as child:
            self.requests.begin(child)
            try:
                why = await self._watch(child)
            finally:
                self.requests.end()
                self._extend_deadline(_STEP_DUE_S)
            self._failure = child.failure
            self.counts.ended(by_itself=child.gone.done(), failure=child.failure, replaced=self._replaced.is_set())
            if why and not self.held.active:  # at once: the end of a worker that hangs takes a second
                self._become(failed_state(self._failure, known=self._known), child.for_viewers or why)
        self.unkillable = child.unkillable
        return child.last_words or why, child.for_viewers or why

    async def _watch(self, child: WorkerProcess) -> str:
        """Wait until the worker is gone or its source dead; return why."""
        while True:
            now = time.monotonic()
            step = self._restarts.next(now)
            if step.action is not Action.WATCH:
                return self._restarts.stall_text()
            self._extend_deadline()
            self.requests.give_up_overdue(now)
            if await done_before(child.gone, self._replaced, within_s=step.until - now):
                return child.gone.result()
            if self._replaced.is_set():
                return ""

    def _extend_deadline(self, within_s: float = _WATCH_DUE_S) -> None:
        # A stream may have the name of another part of the daemon, such as "room".
        self._deadlines.extend(f"worker {self.plan.name}", now=time.monotonic(), within_s=within_s)

    def _on_message(self, received: Received) -> None:
        match received.message:
            case AccessUnit() | Block() | NotSent() | SpeakerReport() if self.held.active or self._replaced.is_set():
                pass  # of a worker that is about to end: it says nothing about the next one
            case AccessUnit() | Block() | NotSent() | SpeakerReport() as media:
                self._restarts.delivered(now := time.monotonic())
                self.counts.delivered(media, now)
                self._become(WorkerState.LIVE, "")
                if not isinstance(media, NotSent):
                    self._on_media(media)
            case Done() as reply:
                self.requests.replied(received.request_id, reply)
            case SnapshotPiece() as piece:
                self.requests.piece(received.request_id, piece)
            case Capturing() as capturing:
                self._on_capturing(capturing)
            case Degraded(text=text, fault=fault):
                self._notice(public_text(text), fault=fault)
            case Dropped(totals=totals):
                self.counts.dropped(totals)
            case LogRecord() as record:
                worker_log.record(self.plan.name, record)

    def _on_capturing(self, capturing: Capturing) -> None:
        now = time.monotonic()
        self._known = True
        self._on_known()
        self.requests.ready(now)
        self._restarts.capturing(now)
        known, self.capturing = self.capturing, capturing
        if known is not None and known.encoder != capturing.encoder:
            self._restarts.encoder_replaced(now)
        self._limit_stall()
        worker_log.capturing(self.plan.name, capturing, before=known)

    def _limit_stall(self) -> None:
        fps = untrusted.checked_fps(self.capturing.fps) if self.capturing else float("inf")
        self._restarts.stall_s = max(self.plan.stall_s, _PERIODS / fps)

    def _notice(self, text: str, *, fault: bool) -> None:
        """Log and report that a source is degraded, or report its mode; nothing is done about it."""
        if self.state is WorkerState.LIVE:
            if fault:
                log.warning("worker.degraded", worker=self.plan.name, what=text or "it has recovered")
            self._on_notice(text)

    def _become(self, state: WorkerState, why: str) -> None:
        why = "" if state is WorkerState.NOT_PRESENT else why
        if (state, why) == (self.state, self._why):
            return
        self._on_state(state, why)  # if that fails, nothing has changed: the next unit tries again
        old, self.state, self._why = self.state, state, why
        if state is not old:
            (log.info if WorkerState.LIVE in (state, old) else log.debug)(
                "worker.state", worker=self.plan.name, old=old.value, new=state.value, why=why or None
            )
