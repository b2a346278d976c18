"""Runs the commands of the configuration by their names, one at a time of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device.commands import runner
from device.config.command_words import filled, refusal
from device.control.results import CommandResult
from device.errors import BusyError, CallError, system_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from device.config.effective import Command
    from device.control.caller import Caller
    from device.control.operations import RunCommand

_MAX_AT_ONCE = 4


class ConfiguredCommands:
    """Runs the `configured` commands, and remembers which are running."""

    def __init__(self, configured: Callable[[], Mapping[str, Command]]) -> None:
        self._configured = configured
        self._running: set[str] = set()

    async def run(self, call: RunCommand, _caller: Caller) -> CommandResult:
        """Run one of the commands. Raises CallError that says what is wrong and what is allowed."""
        name, values, commands = call.name, call.arguments, self._configured()
        if text := refusal(name, values, commands):
            raise CallError(text)
        command = commands[name]
        if name in self._running:
            raise BusyError(f"{name} is already running; try again when it has ended")
        if len(self._running) >= _MAX_AT_ONCE:
            raise BusyError(f"{len(self._running)} commands are running; try again when one has ended")
        self._running.add(name)
        try:
            done = await runner.run(filled(command.run, values), timeout_s=command.timeout_s)
        except OSError as error:
            raise CallError(f"{name} cannot be started: {system_text(error)}") from error
        finally:
            self._running.discard(name)
        return CommandResult(
            name=name,
            exit_code=done.exit_code,
            timed_out=done.timed_out,
            took_s=done.took_s,
            discarded_bytes=done.discarded_bytes,
            output=done.output.decode(errors="replace"),
        )
