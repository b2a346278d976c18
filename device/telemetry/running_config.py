"""The configuration that the running daemon uses, as a file in /run, for `livekit-device config --diff`.

A secret is there as a keyed hash, which says whether it has changed. Only root and the service's user can read the
file, and both can read the secrets themselves.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from typing import TYPE_CHECKING, Any

from device.config.diff import NAMED, entries
from device.config.effective import Config, Secret, restored
from device.config.layer import LayerKind, changes_of
from device.errors import DeviceError, system_text
from device.process_start import started_at
from device.unit_directories import SERVICE_RUNTIME, own_runtime

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from device.config.layer import Layer

SERVICE_PATH = SERVICE_RUNTIME / "config.json"
_MAX_BYTES = 256 << 10
_MODE = 0o600
# A secret that is not in use.
_CHANGED = "https://changed.invalid/"


class RunningConfig:
    """Written at the start and after each reload; nothing is written if there is no RuntimeDirectory."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._key = secrets.token_bytes(32)

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> RunningConfig:
        folder = own_runtime(environment)
        return cls(folder / SERVICE_PATH.name if folder else None)

    def write(self, config: Config, layers: Sequence[Layer]) -> None:
        """Replace the file; a full or read-only disk does not stop publishing."""
        if self._path is None:
            return
        content = {
            "pid": os.getpid(),
            "started": started_at(os.getpid()),
            "key": self._key.hex(),
            "temporary": changes_of(layers, LayerKind.TEMPORARY),
            "values": {name: _hash(self._key, value) if key.secret else value for name, key, value in entries(config)},
        }
        fresh = self._path.with_suffix(".new")
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
            with os.fdopen(descriptor, "w") as file:
                json.dump(content, file)
            fresh.replace(self._path)

    def remove(self) -> None:
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()


def read(new: Config, path: Path = SERVICE_PATH) -> Config | None:
    """Return the configuration of the daemon that runs now; None if none runs.

    A secret that is the one in `new` is returned as it is, another one as a placeholder. Raises DeviceError if the file
    cannot be read, or is from another version.
    """
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_MAX_BYTES))
        running = started_at(int(content["pid"])) == content["started"]
        key, values = bytes.fromhex(content["key"]), dict(content["values"])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DeviceError(f"{path}: {system_text(error)}; run this with sudo") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DeviceError(f"{path} is damaged; restart the service") from None
    if not running:
        return None
    present = {name: value for name, _, value in entries(new)}
    hidden = {name for name, key in new.keys.items() if key.secret}
    data: dict[str, Any] = {name: {} for name in NAMED}
    for name, value in values.items():
        *tables, last = name.split(".")
        inner = data
        for each in tables:
            inner = inner.setdefault(each, {})
        secret = name in hidden or ".".join((*tables[:-1], "NAME", last)) in hidden
        inner[last] = _recovered(key, value, present.get(name)) if secret else value
    try:
        return restored(data, new.keys)
    except (TypeError, ValueError):
        raise DeviceError("the running daemon is of another version; restart the service") from None


def temporary(path: Path = SERVICE_PATH) -> Mapping[str, Any]:
    """Return the changes of the running daemon that are in no file, which a reload keeps; `read` reports problems."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(_MAX_BYTES))["temporary"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _hash(key: bytes, value: object) -> str:
    text = _plain(value)
    return hashlib.blake2b(text.encode(), key=key).hexdigest() if text else ""


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, Secret) else str(value)


def _recovered(key: bytes, stored: object, present: object) -> str:
    if not stored:
        return ""
    if stored == _hash(key, present):
        return _plain(present)
    return _CHANGED
