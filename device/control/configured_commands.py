"""Runs the commands of the configuration by their names, one at a time of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device.commands import runner
from device.config.command_words import filled
from device.control.results import CommandResult
from device.errors import CallError, system_text
from device.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from device.config.effective import Command

_MAX_AT_ONCE = 4
_MAX_SHOWN = 64


class ConfiguredCommands:
    """Remembers which commands are running."""

    def __init__(self) -> None:
        self._running: set[str] = set()

    async def run(self, name: str, values: Mapping[str, str], commands: Mapping[str, Command]) -> CommandResult:
        """Run one of the commands. Raises CallError that says what is wrong and what is allowed."""
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


def _check(name: str, values: Mapping[str, str], allowed: Mapping[str, list[str]]) -> None:
    for argument in values:
        if argument not in allowed:
            known = f"it takes: {', '.join(allowed)}" if allowed else "it takes none"
            raise CallError(f"{name} has no argument {_shown(argument)}; {known}")
    for argument, texts in allowed.items():
        if argument not in values:
            raise CallError(f"{name} needs the argument {argument}; allowed: {', '.join(texts)}")
        if values[argument] not in texts:
            raise CallError(f"{argument} of {name} cannot be {_shown(values[argument])}; allowed: {', '.join(texts)}")


def _shown(text: str) -> str:
    return f'"{printable(text[:_MAX_SHOWN])}"'
