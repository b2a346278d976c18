"""Tokens made here, where the device holds a project's key and secret."""

from __future__ import annotations

import datetime
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import jwt

from device.clock import older_than_this_package
from device.errors import CredentialError
from device.network.http import http_session
from device.room.grants import SOURCES, read_grants
from device.room.joining import Rival
from device.room.ticket import Ticket, Wanted

# The server renews the token of a connected participant; this one only has to outlive one join.
_PUBLISHER_TTL = datetime.timedelta(minutes=10)
_LIST_S = 5.0
VIEWER_TTL = datetime.timedelta(hours=6)  # the default of livekit-api

if TYPE_CHECKING:
    from device.network.probe import Sight
    from device.network.resolver import Resolver


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """Mints tokens with only the grants needed."""

    wanted: Wanted
    key: str
    secret: str = field(repr=False)

    async def obtain(self, at: Sight | None = None, resolver: Resolver | None = None) -> Ticket:  # noqa: ARG002
        token = self._mint(
            identity=self._identity,
            name=self.wanted.display_name,
            ttl=_PUBLISHER_TTL + _behind(at),
            attributes=self.wanted.attributes.snapshot(),
            canPublish=True,
            canPublishSources=list(SOURCES),
            canSubscribe=False,
            canPublishData=False,
            canUpdateOwnMetadata=True,
        )
        return Ticket(url=at.url if at else self.wanted.urls[0], token=token, grants=read_grants(token))

    async def rival(self, at: Sight, resolver: Resolver) -> Rival:
        """List the room's participants, with a token that is for this alone."""
        from livekit.api import ListParticipantsRequest, LiveKitAPI, TwirpError

        try:
            async with (
                http_session(resolver, within_s=_LIST_S) as session,
                LiveKitAPI(at.url, self.key, self.secret, session=session) as server,
            ):
                found = await server.room.list_participants(ListParticipantsRequest(room=self.wanted.room))
        except TwirpError as error:
            if error.code == "not_found":
                return Rival.ABSENT
            raise CredentialError(f"the server does not list its participants: {error.code}") from None
        except Exception as error:  # whatever livekit-api's parser makes of a foreign answer  # noqa: BLE001
            raise CredentialError(f"the server does not list its participants: {type(error).__name__}") from None
        return Rival.PRESENT if self._identity in {each.identity for each in found.participants} else Rival.ABSENT

    @property
    def _identity(self) -> str:
        return self.wanted.identity or self.wanted.derived_identity

    def viewer_token(self, *, ttl: datetime.timedelta = VIEWER_TTL) -> str:
        """Return a token that may subscribe and send data, which commands to a device need, but not publish."""
        return self._mint(
            identity=f"viewer-{secrets.token_hex(4)}",
            name="",
            ttl=ttl,
            attributes={},
            canPublish=False,
            canSubscribe=True,
            canPublishData=True,
            canUpdateOwnMetadata=False,
        )

    def _mint(
        self,
        *,
        identity: str,
        name: str,
        ttl: datetime.timedelta,
        attributes: dict[str, str],
        **grants: object,
    ) -> str:
        # The claims as livekit-api's AccessToken makes them, whose import takes as long as all the rest of a join.
        now_s = int(time.time())
        claims = {
            "iss": self.key,
            "sub": identity,
            "name": name,
            "nbf": now_s,
            "exp": now_s + int(ttl.total_seconds()),
            "attributes": attributes,
            "video": {"roomJoin": True, "room": self.wanted.room, **grants},
        }
        return jwt.encode(claims, self.secret, algorithm="HS256")


def _behind(at: Sight | None) -> datetime.timedelta:
    """Return how far this clock is behind the server's, where it is certainly wrong: the token must last for that."""
    now_s = time.time()
    if at is None or at.server_time_s is None or not older_than_this_package(now_s):
        return datetime.timedelta()
    return datetime.timedelta(seconds=max(0.0, at.server_time_s - now_s))
