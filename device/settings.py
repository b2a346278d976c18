"""The configuration and the token source that it names: what each command starts from."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device.config.stream_urls import CREDENTIAL, missing_urls
from device.config.validation import Valid, validated
from device.errors import ConfigError, Problem
from device.network.rules import NetworkRules
from device.tokens import selection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from device.config.effective import Config, Network
    from device.config.layer import Layer
    from device.config.network import Network as CheckedNetwork
    from device.telemetry.attributes import Attributes
    from device.tokens.endpoint import Endpoint
    from device.tokens.minting import ApiKey
    from device.tokens.selection import TokenFile

SERVICE_CREDENTIALS = Path("/etc/livekit-device/credentials")  # LoadCredential= of the unit
PROXY_CREDENTIAL = "proxy"
"""The file with the proxy's URL in the folder of systemd's credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A valid configuration, its main file and layers, what is odd about it, and the token source that it names."""

    path: Path
    config: Config
    layers: tuple[Layer, ...]
    warnings: tuple[Problem, ...]
    token_source: TokenFile | Endpoint | ApiKey
    camera_url_file: str = ""
    network: NetworkRules = field(default_factory=NetworkRules)


def load(argument: Path | None, attributes: Attributes, *, temporary: Mapping[str, Any] | None = None) -> Settings:
    """Load the configuration in this process. `argument` is the file that the command line names.

    `temporary` are changes of a running device that are in no file.

    The token source puts `attributes` into the tokens that it mints. Raises ConfigError with every problem.
    """
    from device.config import loading  # with pydantic, which the daemon does without

    path = loading.find(argument)
    found = loading.loaded(path, temporary=temporary)
    valid = Valid(path=path, config=found.config, layers=found.layers, warnings=found.warnings)
    return of_valid(valid, attributes)


def of_valid(found: Valid, attributes: Attributes) -> Settings:
    """Return the settings of a valid configuration. Raises ConfigError as `load` does."""
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    directory = Path(given) if given else None
    camera_url_file = find_camera_url_file(directory)
    if problems := missing_urls(found.path, found.config, camera_url_file):
        raise ConfigError(*problems)
    return Settings(
        path=found.path,
        config=found.config,
        layers=found.layers,
        warnings=found.warnings,
        token_source=select_token_source(found.path, found.config, attributes, directory),
        camera_url_file=camera_url_file,
        network=network_rules(found.config.network, directory),
    )


class Loader:
    """Loads while settings are in effect, in a child process. `argument` is the file that the command line names."""

    def __init__(self, argument: Path | None, attributes: Attributes) -> None:
        self._argument, self._attributes = argument, attributes

    def files(self, temporary: Mapping[str, Any]) -> Settings:
        """Load the files again, with changes that are in no file. Raises ConfigError with every problem."""
        return of_valid(validated(self._argument, {"temporary": temporary}), self._attributes)

    def changed(self, settings: Settings, layers: Sequence[Layer]) -> Settings:
        """Return settings with changed layers; none is read again. Raises ConfigError with every problem."""
        found = validated(settings.path, {"layers": [each.as_plain() for each in layers]})
        return replace(settings, config=found.config, layers=found.layers)


def network_rules(network: Network | CheckedNetwork, directory: Path | None) -> NetworkRules:
    """Return how servers are reached: by the configuration, else a proxy in a folder with credentials."""
    proxy_file = Path(network.proxy_file) if network.proxy_file else selection.credential(directory, PROXY_CREDENTIAL)
    return NetworkRules(
        proxy=network.proxy.get_secret_value(),
        proxy_file=proxy_file,
        no_proxy=network.no_proxy,
        ca_file=network.ca_file,
    )


def find_camera_url_file(directory: Path | None) -> str:
    """Return the file with a camera's URL in a folder with credentials; empty if there is none."""
    return str(selection.credential(directory, CREDENTIAL) or "")


def select_token_source(
    path: Path, config: Config, attributes: Attributes, directory: Path | None
) -> TokenFile | Endpoint | ApiKey:
    """Return the token source that a configuration and a folder with credentials name.

    Raises ConfigError that names the configuration's file.
    """
    try:
        return selection.select(config, attributes=attributes, directory=directory)
    except ConfigError as error:
        raise ConfigError(*(Problem(f"{path}: {each.place}", each.message) for each in error.problems)) from None


def credentials_directory(service_folder: Path = SERVICE_CREDENTIALS) -> Path | None:
    """Return the folder that systemd passes; else, for root, the service's own folder if it exists."""
    if given := os.environ.get("CREDENTIALS_DIRECTORY"):
        return Path(given)
    return service_folder if os.geteuid() == 0 and service_folder.is_dir() else None
