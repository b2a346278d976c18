"""Persisted changes from remote callers: overrides.toml in the state directory, written by the daemon alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device.config.layers import Layer
from device.config.places import DEFAULT_PATH
from device.config.toml_file import parsed, read_regular
from device.errors import ConfigError, Problem
from device.unit_directories import SERVICE_STATE, own_state

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

NAME = "overrides.toml"
KEYS = {
    "camera": ("width", "height", "fps", "bitrate_max_bps", "bitrate_min_bps", "controls", "night"),
    "microphone": ("gain_db",),
}
"""What may be changed remotely: never the room, credentials, sources, paths or programs."""
_TABLES = {"cameras": "camera", "microphones": "microphone"}


def find(path: Path, environment: Mapping[str, str]) -> Path | None:
    """Return the file for a configuration; the default one has the service's, others only what systemd names."""
    if folder := own_state(environment):
        return folder / NAME
    return SERVICE_STATE / NAME if path == DEFAULT_PATH else None


def layer(path: Path, environment: Mapping[str, str]) -> Layer | None:
    """Return the layer of remote changes; None without any. Raises ConfigError for a file that cannot be used."""
    file = find(path, environment)
    try:
        if file is None or not file.stat().st_size:
            return None
    except OSError:  # there is none, or the service's folder is closed to this user
        return None
    data = parsed(file, read_regular(file))
    if problems := [Problem(f"{file}: {key}", "cannot be changed remotely") for key in _forbidden(data)]:
        raise ConfigError(*problems)
    return Layer(path=file, data=data)


def _forbidden(data: Mapping[str, object]) -> Iterator[str]:
    for name, table in data.items():
        if name in KEYS:
            yield from _forbidden_keys(name, table, KEYS[name])
        elif name in _TABLES and isinstance(table, dict):
            for each, inner in table.items():
                yield from _forbidden_keys(f"{name}.{each}", inner, KEYS[_TABLES[name]])
        else:
            yield name


def _forbidden_keys(name: str, table: object, allowed: tuple[str, ...]) -> Iterator[str]:
    if not isinstance(table, dict):
        yield name
    else:
        yield from (f"{name}.{key}" for key in table if key not in allowed)
