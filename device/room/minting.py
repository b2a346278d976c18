"""Tokens made here, where the device holds a project's key and secret."""

from __future__ import annotations

import datetime
import secrets
from dataclasses import dataclass, field

from device.room.grants import SOURCES, read_grants
from device.room.ticket import Ticket, Wanted

# The server renews the token of a connected participant; this one only has to outlive one join.
_PUBLISHER_TTL = datetime.timedelta(minutes=10)
VIEWER_TTL = datetime.timedelta(hours=6)  # the default of livekit-api


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """Mints tokens with only the grants needed."""

    wanted: Wanted
    key: str
    secret: str = field(repr=False)

    async def obtain(self) -> Ticket:
        token = self._mint(
            identity=self.wanted.identity or self.wanted.derived_identity,
            name=self.wanted.display_name,
            ttl=_PUBLISHER_TTL,
            attributes=self.wanted.attributes.snapshot(),
            can_publish=True,
            can_publish_sources=list(SOURCES),
            can_subscribe=False,
            can_publish_data=False,
            can_update_own_metadata=True,
        )
        return Ticket(url=self.wanted.url, token=token, grants=read_grants(token))

    def viewer_token(self, *, ttl: datetime.timedelta = VIEWER_TTL) -> str:
        """Return a token that may subscribe and send data, which commands to a device need, but not publish."""
        return self._mint(
            identity=f"viewer-{secrets.token_hex(4)}",
            name="",
            ttl=ttl,
            attributes={},
            can_publish=False,
            can_subscribe=True,
            can_publish_data=True,
            can_update_own_metadata=False,
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
        from livekit.api.access_token import AccessToken, VideoGrants  # brings aiohttp along

        video = VideoGrants(room_join=True, room=self.wanted.room, **grants)  # type: ignore[arg-type]
        token = AccessToken(self.key, self.secret).with_identity(identity).with_ttl(ttl).with_grants(video)
        if name:
            token = token.with_name(name)
        if attributes:
            token = token.with_attributes(attributes)
        return token.to_jwt()
