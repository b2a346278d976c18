"""Watches this process's memory, and says when it shall execute itself again: what the SDK keeps goes with it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from device.lifecycle.memory_policy import Files, MemoryPolicy, Moment
from device.memory import anonymous_mb

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = structlog.get_logger()

_INTERVAL_S = 10.0
_REFUSED_S = 1800.0


class MemoryWatch:
    """`wanted` is set when the process shall execute itself again. Without a limit it has no task.

    moment: what viewers would notice now
    files: how the configuration's files are, which takes a quarter of a second of another process
    times: how many executions in a row led to this process
    """

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        *,
        moment: Callable[[], Moment],
        files: Callable[[], Awaitable[Files]],
        times: int = 0,
        read_mb: Callable[[], float] = anonymous_mb,
    ) -> None:
        self.wanted = asyncio.Event()
        self.policy = MemoryPolicy(configured=0, times=times)
        self._tasks, self._moment, self._files, self._read_mb = tasks, moment, files, read_mb
        self._task: asyncio.Task[None] | None = None
        self._clock = asyncio.get_running_loop().time
        self._began_at = self._clock()
        self._refused_until_s = 0.0
        self._one_at_a_time = asyncio.Lock()
        self._warned = False

    def use(self, limit: int | str) -> None:
        """Use the limit of the configuration from now on."""
        if limit != self.policy.configured:
            self.policy.configured, self._warned = limit, False
        if limit == 0:
            self.stop()
        elif self._task is None:
            self._task = self._tasks.create_task(self._run(), name="memory")

    def stop(self) -> None:
        """Watch no longer."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def times_after(self) -> int:
        """Return `times` for the process that follows."""
        return self.policy.times_after(self._at_s())

    async def between_sessions(self) -> None:
        """Take the opportunity, if the process shall execute itself again: then this does not return."""
        await self._consider()
        if self.wanted.is_set():
            await asyncio.Event().wait()

    async def _run(self) -> None:
        while not self.wanted.is_set():
            self.policy.sample(self._read_mb(), at_s=self._at_s())
            self._warn_of_low_limit()
            await self._consider()
            await asyncio.sleep(_INTERVAL_S)

    async def _consider(self) -> None:
        async with self._one_at_a_time:
            at_s, policy = self._at_s(), self.policy
            if self.wanted.is_set() or at_s < self._refused_until_s or not policy.due(self._moment(), at_s=at_s):
                return
            files = await self._files()
            moment = self._moment()
            fields = {"memory_mb": round(policy.steady_mb), "limit_mb": round(policy.limit_mb or 0)}
            if policy.due(moment, at_s=at_s, files=files):
                log.warning("memory.executing_again", **fields, moment=moment.value, after_s=round(at_s))
                self.wanted.set()
            elif files is not Files.IN_EFFECT:
                self._refused_until_s = at_s + _REFUSED_S
                hint = "reload or correct the configuration, or restart the service"
                log.warning("memory.too_high", **fields, why=f"the configuration's files are {files.value}", hint=hint)

    def _warn_of_low_limit(self) -> None:
        if self.policy.too_low and not self._warned:
            self._warned = True
            log.warning(
                "memory.limit_too_low",
                watch_memory_mb=self.policy.configured,
                needed_mb=round(self.policy.baseline_mb or 0),
                limit_mb=round(self.policy.limit_mb or 0),
                hint='watch.memory_mb is below what this process needs, so "auto" is used',
            )

    def _at_s(self) -> float:
        return self._clock() - self._began_at
