"""What is needed for one join: where to, and a token that fits what the configuration says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from device.config_values import websocket_url
from device.errors import CredentialError, TokenMismatchError
from device.redaction import hide
from device.room.grants import Grants, read_grants

if TYPE_CHECKING:
    from device.network.probe import Sight
    from device.network.resolver import Resolver
    from device.room.attributes import Attributes
    from device.room.joining import Rival


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Who the device wants to be, and where. Empty names are left to the token."""

    urls: tuple[str, ...]
    room: str
    identity: str
    derived_identity: str
    display_name: str
    attributes: Attributes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """One token for one join, with what it says."""

    url: str
    token: str = field(repr=False)
    grants: Grants


class Credentials(Protocol):
    """One of the three ways to a token."""

    @property
    def wanted(self) -> Wanted: ...

    async def obtain(self, at: Sight | None = None, resolver: Resolver | None = None) -> Ticket:
        """Return a fresh ticket for the server that was seen, else for the first one that is configured.

        Raises CredentialError, never with a secret in its text.
        """
        ...

    async def rival(self, at: Sight, resolver: Resolver) -> Rival:
        """Say whether another participant has our identity now. Raises CredentialError where that cannot be told."""
        ...


def checked(wanted: Wanted, *, url: str, token: str, origin: str) -> Ticket:
    """Return the ticket if the token agrees with the configuration.

    Raises CredentialError that names `origin` and shows both values where they differ.
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
        return Ticket(url=websocket_url(url), token=token, grants=grants)
    except ValueError as error:
        raise CredentialError(f"{origin}: the server's URL {error}") from None
