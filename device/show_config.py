"""`livekit-device config`: the effective configuration, where each value is from, and what a reload would change."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from device.config import loading, remote_changes
from device.config.diff import diff, entries
from device.config.effective import Secret
from device.config.layers import origin
from device.config.toml_text import value_text
from device.errors import ExitCode
from device.printable import printable
from device.telemetry import running_config

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from device.config.diff import Change
    from device.config.layers import Layer
    from device.config.loading import Loaded

MASK = "********"
_MAX_VALUE = 60


def run(argument: Path | None, *, as_json: bool, as_diff: bool) -> int:
    """Print the configuration, or its difference to the running daemon's.

    Returns 3 if there is no running daemon to compare with. Raises ConfigError for an invalid configuration.
    """
    found = loading.loaded(loading.find(argument))
    if as_diff:
        return _print_diff(found, as_json=as_json)
    if as_json:
        sys.stdout.write(json.dumps(dict(_described(found)), indent=2, ensure_ascii=False) + "\n")
        return ExitCode.OK
    rows = [(key, value_text(each["value"]), _from(each)) for key, each in _described(found)]
    sys.stdout.write(_table(("key", "value", "from"), rows))
    for warning in found.warnings:
        sys.stdout.write(f"warning: {printable(str(warning))}\n")
    return ExitCode.OK


def _print_diff(found: Loaded, *, as_json: bool) -> int:
    old = running_config.read(found.config)
    if old is None:
        sys.stderr.write("livekit-device is not running: there is nothing to compare with\n")
        return ExitCode.NOT_RUNNING
    changes = diff(old, found.config)
    if as_json:
        plain = [
            {"key": each.key, "running": _plain(each.old), "new": _plain(each.new), "needs": each.needs.value}
            for each in changes
        ]
        sys.stdout.write(json.dumps(plain, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(changes_text(changes))
    return ExitCode.OK


def changes_text(changes: Sequence[Change]) -> str:
    """Return what a reload changes, as a table; secrets masked."""
    if not changes:
        return "a reload would change nothing\n"
    rows = [(each.key, *_sides(each), each.needs.value) for each in changes]
    return _table(("key", "running", "after a reload", "needs"), rows)


def _described(found: Loaded) -> Iterable[tuple[str, dict[str, Any]]]:
    for name, key, value in entries(found.config):
        layer = origin(found.layers, tuple(name.split(".")))
        yield (
            name,
            {
                "value": _masked(value) if key.secret else _plain(value),
                "layer": _layer(layer),
                "place": None if layer is None else _place(layer, name),
                "needs": key.needs.value,
            },
        )


def _layer(layer: Layer | None) -> str:
    if layer is None:
        return "default"
    if layer.path is None:
        return "environment"
    return "remote" if layer.path.name == remote_changes.NAME else "file"


def _place(layer: Layer, key: str) -> str:
    """Return the file, or the variable."""
    if layer.path is not None:
        return str(layer.path)
    return layer.place(tuple(key.split("."))).partition(": ")[2]


def _from(described: dict[str, Any]) -> str:
    return str(described["place"] or described["layer"])


def _sides(change: Change) -> tuple[str, str]:
    return _side(change.old), _side(change.new)


def _side(value: object) -> str:
    return "-" if value is None else value_text(_plain(value))


def _plain(value: object) -> Any:
    """Return a value as JSON and TOML have it. Masks secrets."""
    if isinstance(value, Secret):
        return _masked(value)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _masked(value: object) -> str:
    text = value.get_secret_value() if isinstance(value, Secret) else str(value)
    return MASK if text else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [list(head), *([*map(_short, row[:-1]), printable(row[-1])] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )


def _short(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 3]}..."
