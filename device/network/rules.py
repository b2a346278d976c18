"""How this process reaches servers: [network] of the configuration, and what it leaves to the environment.

One state for the whole process, because the SDK reads the environment, and a process has only one.
"""

from __future__ import annotations

import contextlib
import os
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from device.errors import CredentialError
from device.network.proxy import FILE_KEY, KEY, NO_PROXY_KEY, SDK_VARIABLES, UNREADABLE
from device.secret_file import read_secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_VARIABLES = (*SDK_VARIABLES, "NO_PROXY", "no_proxy")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRules:
    """What the configuration sets; what is empty is left to the environment.

    proxy_file: a file with the proxy's URL, which is read again for each connection, so that it can be replaced
    ca_file: the CA certificates to trust instead of the system's
    """

    proxy: str = field(default="", repr=False)
    proxy_file: Path | None = None
    no_proxy: str = ""
    ca_file: str = ""

    def settings(self) -> dict[str, str]:
        """Return the settings for `device.network.proxy`: these, and the variables of the environment."""
        found = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
        if self.proxy:
            found[KEY] = self.proxy
        elif self.proxy_file is not None:
            try:
                found[FILE_KEY] = read_secret(self.proxy_file)
            except CredentialError as error:
                found[FILE_KEY] = f"{UNREADABLE}{error}"
        if self.no_proxy:
            found[NO_PROXY_KEY] = self.no_proxy
        return found


_in_use = [NetworkRules()]
_in_place_of_those: ContextVar[NetworkRules | None] = ContextVar("rules", default=None)


def use(rules: NetworkRules) -> None:
    """Use these rules from now on, in the whole process."""
    _in_use[:] = [rules]


@contextlib.contextmanager
def instead(rules: NetworkRules) -> Iterator[None]:
    """Use other rules for connections of this task and of those that it starts."""
    token = _in_place_of_those.set(rules)
    try:
        yield
    finally:
        _in_place_of_those.reset(token)


def current() -> NetworkRules:
    return _in_place_of_those.get() or _in_use[0]


def settings() -> dict[str, str]:
    """Return the current settings for `device.network.proxy`."""
    return current().settings()
