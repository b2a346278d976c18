"""Persisted changes of the running device: overrides.toml in the state directory, written by the daemon alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from device import state_directory, transaction
from device.config.layer import Layer, LayerKind
from device.config.places import DEFAULT_PATH
from device.config.remote_keys import is_remote, leaves
from device.config.toml_file import MAX_BYTES, parsed, read_regular
from device.config.toml_text import toml_text
from device.errors import CallError, ConfigError, Problem, system_text
from device.unit_directories import SERVICE_STATE, own_state

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from device.config.marks import Key

NAME = "overrides.toml"
_HEAD = "# Written by livekit-device: changes of `set --persist`. `livekit-device reset` removes them.\n\n"
_MODE = 0o600


def find(path: Path, environment: Mapping[str, str]) -> Path | None:
    """Return the file for a configuration; the default one has the service's, others only what systemd names."""
    if folder := own_state(environment):
        return folder / NAME
    return SERVICE_STATE / NAME if path == DEFAULT_PATH else None


def layer(path: Path, environment: Mapping[str, str], keys: Mapping[str, Key]) -> Layer | None:
    """Return the layer of remote changes; None without any. Raises ConfigError for a file that cannot be used."""
    file = find(path, environment)
    try:
        if file is None or not file.stat().st_size:
            return None
    except OSError:  # there is none, or the service's folder is closed to this user
        return None
    data = parsed(file, read_regular(file))
    if problems := [
        Problem(f"{file}: {'.'.join(where)}", "cannot be changed remotely")
        for where, _ in leaves(data)
        if not is_remote(where, keys)
    ]:
        raise ConfigError(*problems)
    return Layer(kind=LayerKind.REMOTE, path=file, data=data)


def write(file: Path, data: Mapping[str, Any]) -> None:
    """Replace the file, also on the disk; without data remove it. Raises CallError; then nothing has changed."""
    text = _HEAD + toml_text(data)
    if len(text.encode()) > MAX_BYTES:
        raise CallError(f"{NAME} would be too large; `reset` removes all changes")
    try:
        if data:
            state_directory.replace(file, text, mode=_MODE)
        elif file.exists():
            file.unlink()
            transaction.sync_folder(file.parent)
    except OSError as error:
        raise CallError(f"{file} cannot be written: {system_text(error)}; without persist nothing is written") from None
