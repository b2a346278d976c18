"""Join tokens: the server's URL, and a token that matches the configuration."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from device.config.room_url import websocket_url
from device.errors import CredentialError, TokenMismatchError
from device.redaction import hide
from device.tokens.grants import Grants, read_grants

if TYPE_CHECKING:
    from device.network.probe import ProbeResult
    from device.network.resolver import Resolver
    from device.telemetry.attributes import Attributes


class IdentityHolder(enum.Enum):
    """Whether another participant has our identity, as far as that is known."""

    ABSENT = "absent"
    PRESENT = "present"
    UNKNOWN = "unknown"  # a token alone does not allow to list participants


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """The configured identity and room. An empty one is taken from the token.

    `data`: the device answers participants of the room, which needs the right to send data. `subscribe`: it hears them.
    """

    urls: tuple[str, ...]
    room: str
    identity: str
    derived_identity: str
    display_name: str
    attributes: Attributes
    data: bool = False
    subscribe: bool = False

    @property
    def own_identity(self) -> str:
        """The configured identity, else the board's."""
        return self.identity or self.derived_identity


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinToken:
    """One token for one join, with its grants."""

    url: str
    token: str = field(repr=False)
    grants: Grants


class TokenSource(Protocol):
    """A source of join tokens: a file, an endpoint, or an API key and secret."""

    @property
    def wanted(self) -> TokenRequest: ...

    async def obtain(self, at: ProbeResult | None = None, resolver: Resolver | None = None) -> JoinToken:
        """Return a fresh join token for the probed server, or without one for the first configured server.

        Raises CredentialError, whose text contains no secret.
        """
        ...

    async def identity_holder(self, at: ProbeResult, resolver: Resolver) -> IdentityHolder:
        """Return whether another participant has our identity. Raises CredentialError if the server does not answer."""
        ...


def checked(wanted: TokenRequest, *, url: str, token: str, origin: str) -> JoinToken:
    """Return the join token if it matches the configuration.

    Raises CredentialError, which names `origin` and both values if they differ.
    """
    hide(token)
    try:
        grants = read_grants(token)
    except CredentialError as error:
        raise CredentialError(f"{origin}: the token {error}") from None
    for key, ours, theirs in (
        ("room.name", wanted.room, grants.room),
        ("room.identity", wanted.identity, grants.identity),
    ):
        if ours and ours != theirs:
            raise TokenMismatchError(
                f"{origin}: {key} is {ours!r} in the configuration, but {theirs!r} in the token; "
                f"leave {key} empty or make them equal"
            )
    try:
        return JoinToken(url=websocket_url(url), token=token, grants=grants)
    except ValueError as error:
        raise CredentialError(f"{origin}: the server's URL {error}") from None
