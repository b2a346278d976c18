"""The configuration and the way to a token that it names: what each command starts from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from device.config import loading
from device.errors import ConfigError, Problem
from device.telemetry.attributes import Attributes
from device.tokens import selection
from device.tokens.minting import ApiKey

if TYPE_CHECKING:
    from device.config.schema import Config
    from device.tokens.endpoint import Endpoint
    from device.tokens.selection import TokenFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A valid configuration, the file that it is from, and the token source that it names."""

    path: Path
    config: Config
    token_source: TokenFile | Endpoint | ApiKey


def load(argument: Path | None, attributes: Attributes) -> Settings:
    """Load the configuration. `argument` is the file that the command line names.

    The token source puts `attributes` into the tokens that it mints. Raises ConfigError with every problem.
    """
    path = loading.find(argument)
    config = loading.load(path)
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    try:
        chosen = selection.select(config, attributes=attributes, directory=Path(directory) if directory else None)
    except ConfigError as error:
        raise ConfigError(*(Problem(f"{path}: {each.place}", each.message) for each in error.problems)) from None
    return Settings(path=path, config=config, token_source=chosen)


def load_api_key(argument: Path | None) -> tuple[Config, ApiKey]:
    """Load the configuration for a command that mints viewer tokens. Raises ConfigError if that needs a key."""
    settings = load(argument, Attributes())
    if not isinstance(settings.token_source, ApiKey):
        raise ConfigError(
            Problem("credentials", "viewer tokens are minted here, which needs api_key and api_secret; there are none")
        )
    return settings.config, settings.token_source
