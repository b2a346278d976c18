"""Mints tokens, if the device has a project's key and secret. They are valid by the server's clock."""

from __future__ import annotations

import datetime
import json
import secrets
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import jwt

from device.errors import CredentialError, UnreachableError
from device.network.address import base_of
from device.network.http import http_session, read_at_most
from device.secret_file import read_secret
from device.tokens.grants import SOURCES, read_grants
from device.tokens.join_token import IdentityHolder, JoinToken, TokenRequest

if TYPE_CHECKING:
    from pathlib import Path

    from device.network.probe import ProbeResult
    from device.network.resolver import Resolver

# The token must be valid for one join only: the server renews the token of a connected participant.
_PUBLISHER_TTL = datetime.timedelta(minutes=10)
_LIST_TTL = datetime.timedelta(minutes=1)
# The server's Date header may be more than a second old, and the clocks of its nodes may differ.
_BACKDATED_S = 60
_LIST_S = 5.0
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_MAX_LIST_BYTES = 4 << 20
VIEWER_TTL = datetime.timedelta(hours=6)  # the default of livekit-api


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """Mints tokens with only the necessary grants. Key and secret are values, or files that are read each time."""

    wanted: TokenRequest
    key: str = ""
    secret: str = field(default="", repr=False)
    key_file: Path | None = None
    secret_file: Path | None = None

    async def obtain(self, at: ProbeResult | None = None, resolver: Resolver | None = None) -> JoinToken:  # noqa: ARG002
        token = self.publisher_token(at=at)
        return JoinToken(url=at.url if at else self.wanted.urls[0], token=token, grants=read_grants(token))

    def publisher_token(
        self, *, at: ProbeResult | None = None, identity: str = "", ttl: datetime.timedelta = _PUBLISHER_TTL
    ) -> str:
        """Return a token that may publish and set attributes, for this device's identity or another one."""
        return self._mint(
            at=at,
            identity=identity or self.wanted.own_identity,
            name=self.wanted.display_name,
            ttl=ttl,
            attributes=self.wanted.attributes.snapshot(),
            roomJoin=True,
            canPublish=True,
            canPublishSources=list(SOURCES),
            canSubscribe=self.wanted.subscribe,
            canPublishData=self.wanted.data,
            canUpdateOwnMetadata=True,
        )

    def viewer_token(
        self,
        *,
        at: ProbeResult | None = None,
        ttl: datetime.timedelta = VIEWER_TTL,
        data: bool = True,
        hidden: bool = False,
        microphone: bool = False,
        identity: str = "",
    ) -> str:
        """Return a token that may subscribe and, with `data`, send data to a device.

        It may not publish anything, or with `microphone` a microphone only. Without an identity each token has a new
        one.
        Raises CredentialError if key or secret cannot be read.
        """
        return self._mint(
            at=at,
            identity=identity or f"viewer-{secrets.token_hex(4)}",
            name="",
            ttl=ttl,
            attributes={},
            roomJoin=True,
            canPublish=microphone,
            canSubscribe=True,
            canPublishData=data,
            canUpdateOwnMetadata=False,
            **({"canPublishSources": [SOURCES[1]]} if microphone else {}),
            **({"hidden": True} if hidden else {}),
        )

    async def identity_holder(self, at: ProbeResult, resolver: Resolver) -> IdentityHolder:
        """List the room's participants, with a token that allows only that."""
        token = self._mint(at=at, identity="", name="", ttl=_LIST_TTL, attributes={}, roomAdmin=True)
        status, answer = await self._call(at, resolver, token, "ListParticipants", {"room": self.wanted.room})
        if status == HTTPStatus.NOT_FOUND and answer.get("code") == "not_found":
            return IdentityHolder.ABSENT
        if status != HTTPStatus.OK:
            raise CredentialError(f"the server does not list its participants: HTTP {status}")
        found = answer.get("participants", [])
        if not isinstance(found, list):
            raise CredentialError("the server does not list its participants: the response has no list")
        identities = {each.get("identity") for each in found if isinstance(each, dict)}
        return IdentityHolder.PRESENT if self.wanted.own_identity in identities else IdentityHolder.ABSENT

    async def rooms(self, at: ProbeResult, resolver: Resolver) -> list[str]:
        """List the names of the server's rooms. Raises CredentialError."""
        token = self._mint(at=at, identity="", name="", ttl=_LIST_TTL, attributes={}, roomList=True)
        found = _list(*await self._call(at, resolver, token, "ListRooms", {}), "rooms")
        return [name for each in found if isinstance(each, dict) and isinstance(name := each.get("name"), str)]

    async def participants(self, at: ProbeResult, resolver: Resolver, room: str) -> list[Any]:
        """List the participants of any room; none if it does not exist any more. Raises CredentialError."""
        token = self._mint(at=at, identity="", name="", ttl=_LIST_TTL, attributes={}, room=room, roomAdmin=True)
        answer = await self._call(at, resolver, token, "ListParticipants", {"room": room})
        return _list(*answer, "participants")

    @staticmethod
    def server_time_s(at: ProbeResult) -> float:
        """Return the server's time in epoch seconds; ours if it is not known."""
        now_s = at.server_now_s()
        return time.time() if now_s is None else now_s

    async def occupancy(self, at: ProbeResult, resolver: Resolver) -> tuple[int, int]:
        """Return the number of participants in the room, and its maximum; 0 if there is none or it is not known.

        Raises CredentialError if the server does not answer.
        """
        token = self._mint(at=at, identity="", name="", ttl=_LIST_TTL, attributes={}, roomList=True, roomAdmin=True)
        _, answer = await self._call(at, resolver, token, "ListRooms", {"names": [self.wanted.room]})
        rooms = answer.get("rooms")
        room = rooms[0] if isinstance(rooms, list) and rooms and isinstance(rooms[0], dict) else {}
        most = room.get("max_participants")
        # The room's own count is some seconds old.
        _, answer = await self._call(at, resolver, token, "ListParticipants", {"room": self.wanted.room})
        found = answer.get("participants")
        return len(found) if isinstance(found, list) else 0, most if isinstance(most, int) else 0

    async def _call(
        self, at: ProbeResult, resolver: Resolver, token: str, method: str, arguments: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        """Call the server's API (Twirp with JSON). Raises CredentialError for an invalid response."""
        import aiohttp

        try:
            async with (
                http_session(resolver, within_s=_LIST_S) as session,
                session.post(
                    f"{base_of(at.url)}twirp/livekit.RoomService/{method}",
                    json=arguments,
                    headers={"Authorization": f"Bearer {token}"},
                    allow_redirects=False,
                ) as response,
            ):
                body = await read_at_most(response, _MAX_LIST_BYTES)
                if len(body) == _MAX_LIST_BYTES:
                    what = f"the answer is longer than {_MAX_LIST_BYTES >> 20} MiB"
                    raise CredentialError(f"the server does not list its participants: {what}")
                if response.status in _REFUSED:
                    return response.status, {}  # its text is not JSON
                answer = json.loads(body)
        except (TimeoutError, aiohttp.ClientError, UnreachableError) as error:
            raise CredentialError(f"the server does not list its participants: {type(error).__name__}") from None
        except (ValueError, RecursionError):
            raise CredentialError("the server does not list its participants: the answer is no JSON") from None
        if not isinstance(answer, dict):
            raise CredentialError("the server does not list its participants: the answer is no JSON object")
        return response.status, answer

    def _pair(self) -> tuple[str, str]:
        return (
            read_secret(self.key_file) if self.key_file else self.key,
            read_secret(self.secret_file) if self.secret_file else self.secret,
        )

    def _mint(
        self,
        *,
        at: ProbeResult | None,
        identity: str,
        name: str,
        ttl: datetime.timedelta,
        attributes: dict[str, str],
        **grants: object,
    ) -> str:
        # The same claims as in livekit-api's AccessToken, which takes as long to import as the rest of a join.
        key, secret = self._pair()
        now_s = int(self.server_time_s(at) if at else time.time())
        claims = {
            "iss": key,
            "sub": identity,
            "name": name,
            "nbf": now_s - _BACKDATED_S,
            "exp": now_s + int(ttl.total_seconds()),
            "attributes": attributes,
            "video": {"room": self.wanted.room, **grants},
        }
        return jwt.encode(claims, secret, algorithm="HS256")


def _list(status: int, answer: dict[str, Any], key: str) -> list[Any]:
    """Return the list in an answer of the API. Raises CredentialError."""
    if status == HTTPStatus.NOT_FOUND and answer.get("code") == "not_found":
        return []
    if status in _REFUSED:
        raise CredentialError(f"the server refuses to list its {key} (HTTP {status}): check api_key and api_secret")
    found = answer.get(key, [])
    if status != HTTPStatus.OK or not isinstance(found, list):
        raise CredentialError(f"the server does not list its {key}: HTTP {status}")
    return found
