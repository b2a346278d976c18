"""The commands of [hooks]: which are run when viewers come and go, and what happens if that is faster than they are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from device.config.effective import Hooks
from device.control.hooks import WatchHooks
from device.control.results import CommandResult
from device.errors import BusyError, CallError
from tests.unit.virtual_time import run_virtually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from device.control.caller import Caller
    from device.control.operations import RunCommand

BOTH = Hooks(watched="lamp level=1", unwatched="lamp level=0")


class Commands:
    """Takes calls; each takes 3 s. `busy` of them are refused because another caller runs the command."""

    def __init__(self, *, busy: int = 0, exit_code: int = 0, refuses: bool = False) -> None:
        self.calls: list[tuple[float, str]] = []
        self._busy, self._exit_code, self._refuses = busy, exit_code, refuses
        self._began_at = asyncio.get_running_loop().time()

    async def run(self, call: RunCommand, caller: Caller) -> CommandResult:
        at_s = asyncio.get_running_loop().time() - self._began_at
        self.calls.append((at_s, f"{caller}: {call.name} {call.arguments['level']}"))
        if self._refuses:
            raise CallError("there is no such program")
        if len(self.calls) <= self._busy:
            raise BusyError("lamp is already running")
        await asyncio.sleep(3)
        return CommandResult(
            name=call.name,
            exit_code=self._exit_code,
            timed_out=False,
            took_s=3.0,
            discarded_bytes=0,
            output="no such\x1bchip\n",
        )


def played(
    *changes: tuple[float, bool], hooks: Hooks = BOTH, commands: Callable[[], Commands] = Commands
) -> list[tuple[float, str]]:
    """Return the calls and their times, if viewers come and go after these seconds."""

    async def scenario() -> list[tuple[float, str]]:
        async with asyncio.TaskGroup() as tasks:
            taken = commands()
            watch_hooks = WatchHooks(taken.run, configured=lambda: hooks, tasks=tasks)
            now_s = 0.0
            for at_s, watched in changes:
                await asyncio.sleep(at_s - now_s)
                watch_hooks.changed(watched)
                now_s = at_s
        return taken.calls

    return run_virtually(scenario)


def test_each_change_runs_its_command() -> None:
    assert played((0, True), (10, False)) == [(0, "hook watched: lamp 1"), (10, "hook unwatched: lamp 0")]


def test_one_runs_at_a_time_and_only_the_newest_change_is_left_for_later() -> None:
    changes = [(0, True), (1, False), (1.5, True), (2, False)]
    assert played(*changes) == [(0, "hook watched: lamp 1"), (3, "hook unwatched: lamp 0")]
    assert played(*changes, (2.5, True)) == [(0, "hook watched: lamp 1")]


def test_a_command_that_another_caller_runs_is_tried_again_until_it_is_outdated() -> None:
    twice: Callable[[], Commands] = lambda: Commands(busy=2)  # noqa: E731
    assert [at_s for at_s, _ in played((0, True), commands=twice)] == [0, 1, 3]
    assert played((0, True), (0.5, False), commands=twice) == [
        (0, "hook watched: lamp 1"),
        (1, "hook unwatched: lamp 0"),
        (2, "hook unwatched: lamp 0"),
    ]
    assert [at_s for at_s, _ in played((0, True), commands=lambda: Commands(busy=99))] == [0, 1, 3, 7, 15, 31]


def test_a_hook_without_a_command_runs_none_and_outdates_the_other() -> None:
    only_watched = Hooks(watched="lamp level=1", unwatched="")
    assert played((0, False), (1, True), (2, False), (3.5, True), hooks=only_watched) == [
        (1, "hook watched: lamp 1"),
    ]
    assert played((0, True), (1, False), hooks=Hooks(watched="", unwatched="")) == []


def test_a_program_that_fails_is_logged_with_what_it_wrote() -> None:
    with capture_logs() as logged:
        played((0, True), commands=lambda: Commands(exit_code=2))
    assert logged == [
        {
            "event": "hook.failed",
            "log_level": "warning",
            "hook": "watched",
            "command": "lamp",
            "exit_code": 2,
            "timed_out": False,
            "output": "no such?chip?",
        }
    ]


def test_a_refused_call_ends_there() -> None:
    assert len(played((0, True), (5, False), commands=lambda: Commands(refuses=True))) == 2


def test_the_end_of_the_daemon_ends_the_hook() -> None:
    async def scenario() -> None:
        async with asyncio.TaskGroup() as tasks:
            running: list[Awaitable[CommandResult]] = []

            def run(_call: RunCommand, _caller: Caller) -> Awaitable[CommandResult]:
                running.append(asyncio.get_running_loop().create_future())
                return running[0]

            watch_hooks = WatchHooks(run, configured=lambda: BOTH, tasks=tasks)
            watch_hooks.cancel()
            watch_hooks.changed(watched=True)
            await asyncio.sleep(1)
            watch_hooks.cancel()

    run_virtually(scenario)
