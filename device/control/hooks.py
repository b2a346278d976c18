"""Runs the commands of [hooks] when viewers come and go: one at a time, and the newest change wins."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from device.config.command_words import line_words
from device.control.caller import Caller, CallerKind
from device.control.operations import RunCommand
from device.errors import BusyError, CallError
from device.printable import printable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from device.config.effective import Hooks
    from device.control.results import CommandResult

log = structlog.get_logger()

_BUSY_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0)  # together more than the longest command
_MAX_SHOWN = 200


class WatchHooks:
    """Runs `watched` and `unwatched` as calls of the operation `run`, with the same rules and the same audit record.

    `configured` are the hooks in effect: a reload applies to the next change.
    """

    def __init__(
        self,
        perform: Callable[[RunCommand, Caller], Awaitable[CommandResult]],
        *,
        configured: Callable[[], Hooks],
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._perform, self._configured, self._tasks = perform, configured, tasks
        self._newest = False
        self._running: asyncio.Task[None] | None = None

    def changed(self, watched: bool) -> None:  # noqa: FBT001 - a listener
        """Run the hook of this state, when the one that runs has ended. What is outdated by then is not run."""
        self._newest = watched
        if self._running is None and self._line(watched=watched):
            self._running = self._tasks.create_task(self._run(), name="hooks")

    def cancel(self) -> None:
        """End the hook that runs. Its program is killed."""
        if self._running is not None:
            self._running.cancel()

    def _line(self, *, watched: bool) -> str:
        hooks = self._configured()
        return hooks.watched if watched else hooks.unwatched

    async def _run(self) -> None:
        done: bool | None = None
        try:
            while (watched := self._newest) is not done:
                await self._run_one(watched=watched)
                done = watched
        finally:
            self._running = None

    async def _run_one(self, *, watched: bool) -> None:
        if not (line := self._line(watched=watched)):
            return
        hook = "watched" if watched else "unwatched"
        name, arguments = line_words(line)
        call, caller = RunCommand(name=name, arguments=arguments), Caller(kind=CallerKind.LOCAL, name=f"hook {hook}")
        for wait_s in (*_BUSY_S, None):
            try:
                result = await self._perform(call, caller)
            except BusyError:  # an operator runs this command
                if wait_s is None:
                    return
                await asyncio.sleep(wait_s)
                if self._newest is not watched:
                    return
            except CallError:  # the audit record has the reason
                return
            else:
                if result.exit_code or result.timed_out:
                    log.warning(
                        "hook.failed",
                        hook=hook,
                        command=name,
                        exit_code=result.exit_code,
                        timed_out=result.timed_out,
                        output=printable(result.output[:_MAX_SHOWN]),
                    )
                return
