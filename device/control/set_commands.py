"""The commands that change keys of the running configuration: `set`, `reset` and `config --running`."""

from __future__ import annotations

import sys
import tomllib
from typing import TYPE_CHECKING, Any

from device import show_config
from device.control.client import ask
from device.control.commands import demand_configuration
from device.control.operations import GetConfig, ResetValues, SetValues
from device.errors import CallError, ExitCode
from device.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def set_values(config: Path | None, assignments: Sequence[str], *, persist: bool) -> int:
    """Change keys by texts like "camera.fps=15", and print what was done for each."""
    values = parsed(assignments)
    demand_configuration(config)
    _show(ask(SetValues(values=values, persist=persist))["keys"])
    if not persist:
        sys.stdout.write("until the daemon is started again; --persist keeps it\n")
    return ExitCode.OK


def reset(config: Path | None) -> int:
    """Remove all changes by `set`, and print what was done for each key."""
    demand_configuration(config)
    if keys := ask(ResetValues())["keys"]:
        _show(keys)
    else:
        sys.stdout.write("nothing had been changed\n")
    return ExitCode.OK


def show_running(config: Path | None, *, as_json: bool) -> int:
    """Print the configuration of the running daemon."""
    demand_configuration(config)
    show_config.show(ask(GetConfig())["keys"], as_json=as_json)
    return ExitCode.OK


def parsed(assignments: Sequence[str]) -> dict[str, Any]:
    """Return the values of texts like "camera.fps=15". Raises CallError for one that is no assignment."""
    values: dict[str, Any] = {}
    for each in assignments:
        key, equals, text = each.partition("=")
        if not equals or not key.strip():
            raise CallError(f'"{printable(each)}" is no assignment; write KEY=VALUE, such as camera.fps=15')
        if key.strip() in values:
            raise CallError(f"{printable(key.strip())} is set twice")
        values[key.strip()] = value_of(text.strip())
    return values


def value_of(text: str) -> Any:
    """Return a value that is written as in TOML; what is no TOML is a text, so that quotes may be left out."""
    try:
        found = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    value = found.pop("value")
    return value if not found and isinstance(value, bool | int | float | str | list) else text


def _show(keys: Mapping[str, str]) -> None:
    width = max(map(len, keys))
    for key, done in keys.items():
        sys.stdout.write(f"{printable(key).ljust(width)}  {printable(done)}\n")
