"""Which of the three ways to a token the configuration names, and the way by a ready token."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from device.errors import ConfigError, CredentialError, Problem
from device.identity import derived_identity
from device.redaction import redacted
from device.room.endpoint import Endpoint, read_headers
from device.room.joining import Rival
from device.room.minting import ApiKey
from device.room.ticket import Credentials, Ticket, Wanted, checked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from device.config import Config
    from device.network.probe import Sight
    from device.network.resolver import Resolver
    from device.room.attributes import Attributes

__all__ = ["ApiKey", "Credentials", "Endpoint", "TokenFile", "select"]

_MAX_SECRET_BYTES = 64 << 10
# What systemd's LoadCredential= may bring (systemd.exec(5)), under these names.
_UNIT_ID = "livekit"
_TOKEN, _API_KEY, _API_SECRET, _HEADERS = "token", "api_key", "api_secret", "endpoint_headers"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFile:
    """A ready token in a file, read again before each join, so that it can be replaced there."""

    wanted: Wanted
    path: Path

    async def obtain(self, at: Sight | None = None, resolver: Resolver | None = None) -> Ticket:  # noqa: ARG002
        return await asyncio.to_thread(self.read, at)

    async def rival(self, at: Sight, resolver: Resolver) -> Rival:  # noqa: ARG002
        """Say nothing: a publisher's token lets nobody look."""
        return Rival.UNKNOWN

    def read(self, at: Sight | None = None) -> Ticket:
        url = at.url if at else self.wanted.urls[0]
        return checked(self.wanted, url=url, token=_read_secret(self.path), origin=str(self.path))


def select(config: Config, *, attributes: Attributes, directory: Path | None) -> TokenFile | Endpoint | ApiKey:
    """Return the one way to a token that the file, else systemd's credentials `directory`, names.

    Raises ConfigError for none, for several, for files that cannot be read, and for a ready token that
    contradicts the file.
    """
    here = config.credentials
    wanted = Wanted(
        urls=config.room.url,
        room=config.room.name,
        identity=config.room.identity,
        derived_identity=derived_identity(),
        display_name=config.room.display_name,
        attributes=attributes,
    )
    given = {name: path for name in (_TOKEN, _API_KEY, _API_SECRET, _HEADERS) if (path := _given(directory, name))}
    try:
        if here.endpoint:
            headers_file = Path(here.endpoint_headers_file) if here.endpoint_headers_file else given.get(_HEADERS)
            if headers_file:
                read_headers(headers_file)
            return Endpoint(wanted=wanted, url=here.endpoint, headers_file=headers_file)
        if here.token_file or (_TOKEN in given and not here.api_key):
            if not here.token_file and _API_KEY in given:
                raise _wrong("token and api_key both lie in the credentials directory; allowed is one of them")
            way = TokenFile(wanted=wanted, path=Path(here.token_file) if here.token_file else given[_TOKEN])
            way.read()
            return way
        if here.api_key or _API_KEY in given:
            return ApiKey(
                wanted=_with_room(wanted),
                key=here.api_key or _read_secret(given[_API_KEY]),
                secret=_secret(config, given),
            )
    except CredentialError as error:
        raise _wrong(redacted(str(error))) from None
    raise _wrong("no way to a token is named; set exactly one of token_file, endpoint, api_key")


def _secret(config: Config, given: Mapping[str, Path]) -> str:
    if secret := config.credentials.api_secret.get_secret_value():
        return secret
    if config.credentials.api_secret_file:
        return _read_secret(Path(config.credentials.api_secret_file))
    if _API_SECRET in given:
        return _read_secret(given[_API_SECRET])
    raise _wrong("api_key is set without its secret; set api_secret or api_secret_file")


def _with_room(wanted: Wanted) -> Wanted:
    if not wanted.room:
        raise ConfigError(
            Problem("room.name", "is required where the device mints its own token (credentials.api_key)")
        )
    return wanted


def _given(directory: Path | None, name: str) -> Path | None:
    if directory is None:
        return None
    # systemd names the files of a folder that it loads whole ID_FILE (systemd.exec(5), LoadCredential=).
    candidates = (directory / name, directory / f"{_UNIT_ID}_{name}")
    return next((path for path in candidates if os.path.isfile(path)), None)  # never raises  # noqa: PTH113


def _read_secret(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_SECRET_BYTES).decode("ascii").strip()
    except OSError as error:
        raise CredentialError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CredentialError(f"{path}: is not a token or key (it holds bytes beyond ASCII)") from None
    if not text:
        raise CredentialError(f"{path}: is empty")
    return text


def _wrong(message: str) -> ConfigError:
    return ConfigError(Problem("credentials", message))
