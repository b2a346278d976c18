"""`livekit-device config`: the configuration, where each value is from, and how the running daemon's differs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from device.config.description import described, plain
from device.config.diff import diff
from device.config.toml_text import value_text
from device.errors import ExitCode
from device.printable import printable
from device.telemetry import running_config

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from device.config.diff import Change

_MAX_VALUE = 60


def run(argument: Path | None, *, as_json: bool) -> int:
    """Print the configuration that a start would use. Raises ConfigError for an invalid one."""
    from device.config import loading

    found = loading.loaded(loading.find(argument))
    show(dict(described(found.config, found.layers)), as_json=as_json)
    for warning in () if as_json else found.warnings:
        sys.stdout.write(f"warning: {printable(str(warning))}\n")
    return ExitCode.OK


def show(keys: Mapping[str, Mapping[str, Any]], *, as_json: bool) -> None:
    """Print keys as `described` has them."""
    if as_json:
        sys.stdout.write(json.dumps(keys, indent=2, ensure_ascii=False) + "\n")
    else:
        rows = [(key, value_text(each["value"]), str(each["place"] or each["layer"])) for key, each in keys.items()]
        sys.stdout.write(_table(("key", "value", "from"), rows))


def run_diff(argument: Path | None, *, as_json: bool) -> int:
    """Print what a reload would change in the running daemon. Returns 3 if none runs.

    Raises ConfigError for an invalid configuration.
    """
    from device.config import loading

    found = loading.loaded(loading.find(argument), temporary=running_config.temporary())
    old = running_config.read(found.config)
    if old is None:
        sys.stderr.write("livekit-device is not running: there is nothing to compare with\n")
        return ExitCode.NOT_RUNNING
    changes = diff(old, found.config)
    if as_json:
        rows = [
            {"key": each.key, "running": plain(each.old), "new": plain(each.new), "needs": each.needs.value}
            for each in changes
        ]
        sys.stdout.write(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(changes_text(changes))
    return ExitCode.OK


def changes_text(changes: Sequence[Change]) -> str:
    """Return what a reload changes, as a table; secrets masked."""
    if not changes:
        return "a reload would change nothing\n"
    rows = [(each.key, *_sides(each), each.needs.value) for each in changes]
    return _table(("key", "running", "after a reload", "needs"), rows)


def _sides(change: Change) -> tuple[str, str]:
    return _side(change.old), _side(change.new)


def _side(value: object) -> str:
    return "-" if value is None else value_text(plain(value))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [list(head), *([*map(_short, row[:-1]), printable(row[-1])] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )


def _short(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 3]}..."
