"""The configuration and credentials for viewer tokens. Root reads them, and then drops its rights."""

from __future__ import annotations

import concurrent.futures.thread  # asyncio loads it late, when an interpreter in root's home is out of reach  # noqa: F401
import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from device.config.loading import find, load
from device.errors import ConfigError, Problem
from device.network import rules, tls
from device.privileges import PrivilegesError, give_up_root
from device.secret_file import read_secret
from device.settings import SERVICE_CREDENTIALS, credentials_directory, network_rules, select_token_source
from device.telemetry.attributes import Attributes
from device.tokens.selection import ApiKey

if TYPE_CHECKING:
    from device.config.effective import Config

_PACKAGE = Path(__file__).parents[1]


def viewer_access(argument: Path | None, *, why_key: str = "") -> tuple[Config, ApiKey]:
    """Return the configuration, and the key and secret that sign viewer tokens. After that root's rights are dropped.

    `argument` is the file that the command line names, `why_key` a text for what lacks key and secret. Raises
    ConfigError without them, CredentialError for files that cannot be read, PrivilegesError.
    """
    path = find(argument)
    config = load(path)
    try:
        chosen = select_token_source(path, config, Attributes(), credentials_directory())
    except ConfigError as error:
        raise ConfigError(*error.problems, *_unreadable_credentials()) from None
    if not isinstance(chosen, ApiKey):
        raise ConfigError(Problem("credentials", why_key or _NO_KEY), *_unreadable_credentials())
    # Without root's rights the files cannot be read again.
    as_root = os.geteuid() == 0
    api_key = _with_contents(chosen) if as_root else chosen
    network = network_rules(config.network, credentials_directory())
    if as_root and network.proxy_file:
        network = replace(network, proxy=read_secret(network.proxy_file), proxy_file=None)
    rules.use(network)
    if network.ca_file:
        with contextlib.suppress(tls.AuthoritiesError):  # the connection reports it
            tls.context()
    if (name := give_up_root()) and not os.access(_PACKAGE / "viewer/page/index.html", os.R_OK):
        raise PrivilegesError(f"{name} cannot read {_PACKAGE}; install the package, or run this as another user")
    return config, api_key


_NO_KEY = "viewer tokens are minted here, which needs api_key and api_secret; there are none"


def _with_contents(api_key: ApiKey) -> ApiKey:
    key = read_secret(api_key.key_file) if api_key.key_file else api_key.key
    secret = read_secret(api_key.secret_file) if api_key.secret_file else api_key.secret
    return replace(api_key, key=key, key_file=None, secret=secret, secret_file=None)


def _unreadable_credentials() -> list[Problem]:
    """Return a hint if only root can read the credentials."""
    if os.geteuid() == 0 or not SERVICE_CREDENTIALS.is_dir():
        return []
    return [Problem(str(SERVICE_CREDENTIALS), "holds the service's credentials, for root only; run this with sudo")]
