"""What a viewer's tokens are made of. Root reads it, and then goes on without root's rights."""

from __future__ import annotations

import concurrent.futures.thread  # asyncio loads it late, when an interpreter in root's home is out of reach  # noqa: F401
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from device.config.loading import load
from device.errors import ConfigError, Problem
from device.privileges import PrivilegesError, give_up_root
from device.telemetry.attributes import Attributes
from device.tokens.directory import SERVICE_FOLDER, credentials_directory, selected
from device.tokens.secret_file import read_secret
from device.tokens.selection import ApiKey

if TYPE_CHECKING:
    from device.config.schema import Config

_PACKAGE = Path(__file__).parents[1]


def viewers_access(path: Path) -> tuple[Config, ApiKey]:
    """Return the configuration, and key and secret with which viewers' tokens are minted; root's rights are given up.

    Raises ConfigError without key and secret, CredentialError for files that cannot be read, PrivilegesError.
    """
    config = load(path)
    try:
        chosen = selected(path, config, Attributes(), credentials_directory())
    except ConfigError as error:
        raise ConfigError(*error.problems, *_out_of_reach()) from None
    if not isinstance(chosen, ApiKey):
        raise ConfigError(Problem("credentials", _NO_KEY), *_out_of_reach())
    # Without root's rights the files cannot be read again.
    as_root = os.geteuid() == 0
    api_key = _with_contents(chosen) if as_root else chosen
    if (name := give_up_root()) and not os.access(_PACKAGE / "viewer/page.html", os.R_OK):
        raise PrivilegesError(f"{name} cannot read {_PACKAGE}; install the package, or run this as another user")
    return config, api_key


_NO_KEY = "viewer tokens are minted here, which needs api_key and api_secret; there are none"


def _with_contents(api_key: ApiKey) -> ApiKey:
    key = read_secret(api_key.key_file) if api_key.key_file else api_key.key
    secret = read_secret(api_key.secret_file) if api_key.secret_file else api_key.secret
    return replace(api_key, key=key, key_file=None, secret=secret, secret_file=None)


def _out_of_reach() -> list[Problem]:
    """Say why another user than root may miss credentials."""
    if os.geteuid() == 0 or not SERVICE_FOLDER.is_dir():
        return []
    return [Problem(str(SERVICE_FOLDER), "holds the service's credentials, for root alone; run this with sudo")]
