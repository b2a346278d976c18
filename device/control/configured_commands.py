"""Runs the commands of the configuration by their names, one at a time of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device.commands import runner
from device.config.command_words import filled
from device.control.results import CommandResult
from device.errors import CallError, system_text
from device.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from device.config.effective import Command
    from device.control.caller import Caller
    from device.control.operations import RunCommand

_MAX_AT_ONCE = 4
_MAX_SHOWN = 64


class ConfiguredCommands:
    """Runs the `configured` commands, and remembers which are running."""

    def __init__(self, configured: Callable[[], Mapping[str, Command]]) -> None:
        self._configured = configured
        self._running: set[str] = set()

    async def run(self, call: RunCommand, _caller: Caller) -> CommandResult:
        """Run one of the commands. Raises CallError that says what is wrong and what is allowed."""
        name, values, commands = call.name, call.arguments, self._configured()
        if name not in commands:
            raise CallError(f"there is no command {_shown(name)}; {_which(commands)}")
        command = commands[name]
        _check(name, values, command.arguments)
        if name in self._running:
            raise CallError(f"{name} is already running; try again when it has ended")
        if len(self._running) >= _MAX_AT_ONCE:
            raise CallError(f"{len(self._running)} commands are running; try again when one has ended")
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


def _which(commands: Mapping[str, Command]) -> str:
    if not commands:
        return "the configuration has none: add a table [commands.NAME]"
    return f"there are: {', '.join(sorted(commands))}"


def _check(name: str, values: Mapping[str, object], allowed: Mapping[str, list[str]]) -> None:
    for argument in values:
        if argument not in allowed:
            known = f"it takes: {', '.join(allowed)}" if allowed else "it takes none"
            raise CallError(f"{name} has no argument {_shown(argument)}; {known}")
    for argument, texts in allowed.items():
        if argument not in values:
            raise CallError(f"{name} needs the argument {argument}; allowed: {', '.join(texts)}")
        if values[argument] not in texts:
            raise CallError(f"{argument} of {name} cannot be {_shown(values[argument])}; allowed: {', '.join(texts)}")


def _shown(value: object) -> str:
    return f'"{printable(str(value)[:_MAX_SHOWN])}"'
