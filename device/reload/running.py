"""What runs: the streams and the connection to the room. The start and each reload carry out their plans here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

import device.log
from device import native_sdk
from device.config.diff import diff
from device.errors import ConfigError, Problem, RequestRefusedError, WorkerRequestError
from device.ipc.messages import CameraJob, MicrophoneJob, SetControls, SetGain, SetNight
from device.network import rules
from device.reload.decision import Decision, decide
from device.streams.plan import plan_streams
from device.tokens.selection import TokenFile, announce_expiry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from device.clock import ServerClock
    from device.ipc.registry import Request
    from device.lifecycle.memory_policy import Moment
    from device.room.connection import RoomConnection
    from device.settings import Settings
    from device.streams.plan import StreamPlan
    from device.streams.stream import Stream

log = structlog.get_logger()

_ANSWER_S = 3.0


class RunningDevice:
    """The streams and the room of one process. `settings` are those in effect.

    `connect` returns a connection for settings, and gets why another one was left, if it was. `epoch_us` is when files
    begin, for all plans. `in_effect` gets all settings that are in effect. `begins_because`: why this process left
    the room before, if it did. `before_leaving` gets why the room is left, while that is still to happen.
    """

    def __init__(
        self,
        settings: Settings,
        streams: Sequence[Stream],
        *,
        tasks: asyncio.TaskGroup,
        connect: Callable[[Settings, str], RoomConnection],
        clock: ServerClock,
        epoch_us: int,
        in_effect: Callable[[Settings], None],
        begins_because: str = "",
        before_leaving: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self.settings = settings
        self.streams = {each.name: each for each in streams}
        self._one_at_a_time = asyncio.Lock()
        self._tasks, self._connect, self._clock, self._epoch_us = tasks, connect, clock, epoch_us
        self._joined: list[asyncio.Task[None]] = []
        self._in_effect, self._before_leaving = in_effect, before_leaving
        self._connection = self._join(begins_because)
        in_effect(settings)

    @property
    def moment(self) -> Moment:
        """What viewers would notice if this process ended now."""
        return self._connection.moment

    def decide(self, settings: Settings) -> Decision:
        """Return what other settings need."""
        changes = diff(self.settings.config, settings.config)
        return decide(changes, self._plans(self.settings), self._plans(settings))

    async def apply(
        self,
        settings: Settings,
        decision: Decision,
        *,
        applied: Callable[[frozenset[str]], Awaitable[None]] | None = None,
    ) -> None:
        """Put other settings into effect, all or none.

        `applied` gets the streams whose workers are restarted, before the room is left. What it raises, this raises,
        and the room is not left. Raises ConfigError if a worker refuses a value.
        """
        async with self._one_at_a_time:
            restarted = await self._apply(settings, decision)
            if applied is not None:
                await applied(restarted)
            if decision.rejoin:
                await self._rejoin(decision.why_rejoin)

    async def rejoin(self, why: str) -> None:
        """Leave the room in order, and begin to join it again."""
        async with self._one_at_a_time:
            await self._rejoin(why)

    async def _apply(self, settings: Settings, decision: Decision) -> frozenset[str]:
        plans = {each.name: each for each in self._plans(settings)}
        restart = decision.restart | await self._ask_workers(plans, decision.restart)
        self.settings = settings
        config = settings.config
        device.log.set_level(config.log.level)
        native_sdk.follow_log_level()
        for name, plan in plans.items():
            self.streams[name].replan(plan, restart=name in restart)
        self._connection.retime(config.reconnect, stall_s=config.watch.delivery_stall_s)
        self._in_effect(settings)
        return frozenset(restart)

    async def _rejoin(self, why: str) -> None:
        log.info("room.leaving", why=why)
        if self._before_leaving:
            await self._before_leaving(why)
        await self.leave()
        self._connection = self._join(why)

    async def leave(self) -> None:
        """Leave the room in order. May be called twice."""
        for task in self._joined:
            task.cancel()
        if self._joined:
            await asyncio.wait(self._joined)

    def _join(self, why: str) -> RoomConnection:
        rules.use(self.settings.network)
        connection, token_source = self._connect(self.settings, why), self.settings.token_source
        self._joined = [self._tasks.create_task(connection.run(), name="room")]
        if isinstance(token_source, TokenFile):
            expiry = announce_expiry(token_source, self._clock)
            self._joined.append(self._tasks.create_task(expiry, name="token-expiry"))
        return connection

    def _plans(self, settings: Settings) -> list[StreamPlan]:
        return plan_streams(settings.config, epoch_us=self._epoch_us, camera_url_file=settings.camera_url_file)

    async def _ask_workers(self, plans: dict[str, StreamPlan], restart: frozenset[str]) -> set[str]:
        """Let the workers adopt values while they capture; return the streams whose worker did not answer.

        A worker that does not run gets them with its job. If one refuses, those that took theirs get the old ones back.
        """
        taken: list[tuple[str, Request[Any]]] = []
        unanswered = set()
        for name, plan in plans.items():
            if name in restart:
                continue
            for new, old in requests(self.streams[name].supervisor.plan.job, plan.worker.job):
                try:
                    async with asyncio.timeout(_ANSWER_S):
                        await self.streams[name].supervisor.requests.request(new)
                except RequestRefusedError as error:
                    for each, undo in (*taken, (name, old)):
                        self.streams[each].supervisor.requests.post(undo)
                    raise ConfigError(Problem(str(self.settings.path), str(error))) from None
                except (WorkerRequestError, TimeoutError):
                    unanswered.add(name)
                else:
                    taken.append((name, old))
        return unanswered


def requests(old: object, new: object) -> Iterator[tuple[Request[Any], Request[Any]]]:
    """Yield the requests that change a running worker from the old job to the new one, each with what undoes it."""
    match old, new:
        case CameraJob(), CameraJob():
            if old.controls != new.controls:
                yield SetControls(controls=new.controls), SetControls(controls=old.controls)
            if old.night != new.night and old.night.get("enabled") and new.night.get("enabled"):
                yield SetNight(night=new.night), SetNight(night=old.night)
        case MicrophoneJob(), MicrophoneJob() if old.gain_db != new.gain_db:
            yield SetGain(gain_db=new.gain_db), SetGain(gain_db=old.gain_db)
