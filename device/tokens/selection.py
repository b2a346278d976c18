"""Selects the token source from the configuration: a ready token in a file, a token endpoint, or an API key."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from device.errors import ConfigError, CredentialError, Problem, TokenMismatchError
from device.identity import derived_identity, identity_may_be_shared
from device.redaction import hide
from device.secret_file import read_secret, readable_by_others
from device.tokens.endpoint import Endpoint
from device.tokens.expiry import CHECK_INTERVAL_S, next_check_s, notice_of
from device.tokens.join_token import IdentityHolder, JoinToken, TokenRequest, checked
from device.tokens.minting import ApiKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from device.clock import ServerClock
    from device.config.effective import Config
    from device.network.probe import ProbeResult
    from device.network.resolver import Resolver
    from device.telemetry.attributes import Attributes
    from device.tokens.join_token import TokenSource

log = structlog.get_logger()

__all__ = [
    "ApiKey",
    "Endpoint",
    "TokenFile",
    "announce_expiry",
    "log_warnings",
    "secret_files",
    "select",
    "warnings",
]

# The names of credentials that systemd's LoadCredential= may pass (systemd.exec(5)).
_UNIT_ID = "livekit"
NO_TOKEN_SOURCE = "no token source is set; set exactly one of token_file, endpoint, api_key"  # noqa: S105 - a text
_TOKEN, _API_KEY, _API_SECRET, _HEADERS = "token", "api_key", "api_secret", "endpoint_headers"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFile:
    """A ready token in a file, which is read again before each join, so that the file can be replaced."""

    wanted: TokenRequest
    path: Path

    async def obtain(self, at: ProbeResult | None = None, resolver: Resolver | None = None) -> JoinToken:  # noqa: ARG002
        return await asyncio.to_thread(self.read, at)

    async def identity_holder(self, at: ProbeResult, resolver: Resolver) -> IdentityHolder:  # noqa: ARG002
        """Return UNKNOWN: a publisher's token does not allow to list participants."""
        return IdentityHolder.UNKNOWN

    def read(self, at: ProbeResult | None = None) -> JoinToken:
        url = at.url if at else self.wanted.urls[0]
        return checked(self.wanted, url=url, token=read_secret(self.path), origin=str(self.path))


async def announce_expiry(token_source: TokenFile, clock: ServerClock) -> None:
    """Log when a ready token expires: now, a day before, an hour before and at its expiry, until cancelled.

    The server renews the token of a connected participant, but the next join needs the token in the file.
    """
    announced: tuple[float, int] | None = None
    while True:
        wait_s = CHECK_INTERVAL_S
        with contextlib.suppress(CredentialError):  # the next join reports what is wrong with the file
            expires_at = (await asyncio.to_thread(token_source.read)).grants.expires_at
            notice = notice_of(expires_at, clock.now_s())
            if (expires_at, notice.level) != announced:
                announced = (expires_at, notice.level)
                (log.warning if notice.urgent else log.info)(
                    "token.expiry", what=notice.text, file=str(token_source.path)
                )
            wait_s = min(wait_s, next_check_s(expires_at, clock.now_s()) + 1.0)
        await asyncio.sleep(wait_s)


def identity_may_collide(token_source: TokenSource) -> bool:
    """Return whether the identity is this device's own, and only the host's name distinguishes it from others."""
    return not token_source.wanted.identity and not isinstance(token_source, TokenFile) and identity_may_be_shared()


def select(config: Config, *, attributes: Attributes, directory: Path | None) -> TokenFile | Endpoint | ApiKey:
    """Return the token source from the configuration, or else from systemd's credentials `directory`.

    Raises ConfigError for no source, for several, and for a ready token that contradicts the configuration. A secret's
    file that cannot be read is not an error here: another service may write it before the next join.
    """
    credentials = config.credentials
    wanted = TokenRequest(
        urls=config.room.url,
        room=config.room.name,
        identity=config.room.identity,
        derived_identity=derived_identity(),
        display_name=config.room.display_name,
        attributes=attributes,
        data=bool(config.control.allow) or config.speaker.on,
        subscribe=config.speaker.on,
    )
    given = {name: path for name in (_TOKEN, _API_KEY, _API_SECRET, _HEADERS) if (path := credential(directory, name))}
    if credentials.endpoint:
        headers_file = (
            Path(credentials.endpoint_headers_file) if credentials.endpoint_headers_file else given.get(_HEADERS)
        )
        return Endpoint(wanted=wanted, url=credentials.endpoint, headers_file=headers_file)
    if credentials.token_file or (_TOKEN in given and not credentials.api_key):
        if not credentials.token_file and _API_KEY in given:
            raise _error("token and api_key are both in the credentials directory; allowed is one of them")
        token_source = TokenFile(
            wanted=wanted, path=Path(credentials.token_file) if credentials.token_file else given[_TOKEN]
        )
        _require_agreement(token_source)
        return token_source
    if credentials.api_key or _API_KEY in given:
        return ApiKey(
            wanted=_with_room(wanted),
            key=credentials.api_key,
            key_file=None if credentials.api_key else given[_API_KEY],
            secret=credentials.api_secret.get_secret_value(),
            secret_file=_secret_file(config, given),
        )
    raise _error(NO_TOKEN_SOURCE)


def _require_agreement(token_source: TokenFile) -> None:
    """Raise ConfigError for a token that contradicts the configuration.

    A file that is missing, empty or unreadable may be written before the first join, so it is not an error.
    """
    try:
        token_source.read()
    except TokenMismatchError as error:
        raise _error(str(error)) from None
    except CredentialError:
        return


def _secret_file(config: Config, given: Mapping[str, Path]) -> Path | None:
    """Return the file with the secret; None if the configuration holds the secret itself."""
    if secret := config.credentials.api_secret.get_secret_value():
        hide(secret)
        return None
    if config.credentials.api_secret_file:
        return Path(config.credentials.api_secret_file)
    if _API_SECRET in given:
        return given[_API_SECRET]
    raise _error("api_key is set without its secret; set api_secret or api_secret_file")


def log_warnings(problems: Sequence[Problem], token_source: TokenFile | Endpoint | ApiKey) -> None:
    """Log the warnings about the configuration, and secrets that every user may read."""
    for each in (*problems, *warnings(token_source)):
        log.warning("config.warning", place=each.place, what=each.message)


def warn_of_shared_identity(token_source: TokenSource) -> None:
    """Log it if only the host's name distinguishes this device from others."""
    if identity_may_collide(token_source):
        log.warning(
            "room.identity_not_unique",
            identity=token_source.wanted.derived_identity,
            hint="only the host's name distinguishes this device from others: set room.identity",
        )


def warnings(token_source: TokenFile | Endpoint | ApiKey) -> list[Problem]:
    """Return a problem for each file with a secret that every user may read."""
    return [
        Problem(str(path), f"holds a secret, and every user of this device can read it (mode {mode}); chmod 600")
        for path in secret_files(token_source)
        if (mode := readable_by_others(path))
    ]


def secret_files(token_source: TokenFile | Endpoint | ApiKey) -> list[Path]:
    """Return the files with secrets that a token source reads."""
    match token_source:
        case TokenFile():
            return [token_source.path]
        case Endpoint():
            return [token_source.headers_file] if token_source.headers_file else []
        case ApiKey():
            return [each for each in (token_source.key_file, token_source.secret_file) if each]


def _with_room(wanted: TokenRequest) -> TokenRequest:
    if not wanted.room:
        raise ConfigError(Problem("room.name", "is required if the device mints its own token (credentials.api_key)"))
    return wanted


def credential(directory: Path | None, name: str) -> Path | None:
    """Return a file in a folder with credentials, if it is there."""
    if directory is None:
        return None
    # If LoadCredential= loads a directory, systemd names the files ID_FILE (systemd.exec(5)).
    candidates = (directory / name, directory / f"{_UNIT_ID}_{name}")
    return next((path for path in candidates if os.path.isfile(path)), None)  # never raises  # noqa: PTH113


def _error(message: str) -> ConfigError:
    return ConfigError(Problem("credentials", message))
