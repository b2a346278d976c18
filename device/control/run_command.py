"""`livekit-device run NAME [ARGUMENT=VALUE ...]`: runs a command of the running daemon's configuration."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from device.config.command_words import of_pairs
from device.control.client import ask
from device.control.operations import RunCommand
from device.errors import CallError, ExitCode
from device.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable


def run(name: str, pairs: Iterable[str]) -> int:
    """Run it and print its output. Return 0 if it ended with 0, else 1."""
    result = ask(RunCommand(name=name, arguments=arguments_of(pairs)))
    for line in result["output"].splitlines():
        sys.stdout.write(f"{printable(line.expandtabs())}\n")
    sys.stdout.flush()  # before what follows on standard error
    for text in remarks(result):
        sys.stderr.write(f"{text}\n")
    return ExitCode.FAILED if result["timed_out"] or result["exit_code"] else ExitCode.OK


def arguments_of(pairs: Iterable[str]) -> dict[str, str]:
    """Return arguments from the command line, ARGUMENT=VALUE. Raises CallError."""
    try:
        return of_pairs(pairs)
    except ValueError as error:
        raise CallError(str(error)) from None


def remarks(result: dict[str, Any]) -> list[str]:
    """Return what is to be said about a result beside its output."""
    name, code = result["name"], result["exit_code"]
    found = []
    if discarded := result["discarded_bytes"]:
        found.append(f"{name}: {discarded} more bytes of output were discarded")
    if result["timed_out"]:
        found.append(f"{name}: killed after {result['took_s']:g} s, its timeout_s")
    elif code < 0:
        found.append(f"{name}: ended by signal {-code}")
    elif code:
        found.append(f"{name}: exit code {code}")
    return found
