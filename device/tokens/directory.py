"""The folder with the service's credentials, and the way to a token that is chosen with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from device.errors import ConfigError, Problem
from device.tokens.selection import ApiKey, Endpoint, TokenFile, select

if TYPE_CHECKING:
    from device.config.schema import Config
    from device.telemetry.attributes import Attributes

SERVICE_FOLDER = Path("/etc/livekit-device/credentials")  # LoadCredential= of the unit


def credentials_directory(service_folder: Path = SERVICE_FOLDER) -> Path | None:
    """Return what systemd has handed over, else, for root, the service's own folder if there is one."""
    if given := os.environ.get("CREDENTIALS_DIRECTORY"):
        return Path(given)
    return service_folder if os.geteuid() == 0 and service_folder.is_dir() else None


def selected(
    path: Path, config: Config, attributes: Attributes, directory: Path | None
) -> TokenFile | Endpoint | ApiKey:
    """Return the one way to a token. Raises ConfigError that names the configuration's file."""
    try:
        return select(config, attributes=attributes, directory=directory)
    except ConfigError as error:
        raise ConfigError(*(Problem(f"{path}: {each.place}", each.message) for each in error.problems)) from None
