"""Reads a token's grants, without verifying its signature: the server does that. Errors are reported before a join."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jwt

from device.errors import CredentialError

# Without these sources in can_publish_sources the server refuses the track (protocol: TrackSource names).
SOURCES = ("camera", "microphone")
NO_DATA = "the token does not allow to send data (video.canPublishData)"


@dataclass(frozen=True, slots=True)
class Grants:
    """The claims of an access token that a publishing device depends on. Times are epoch seconds."""

    identity: str
    room: str
    room_join: bool
    can_publish: bool
    can_publish_sources: tuple[str, ...]
    can_update_own_metadata: bool
    expires_at: float
    hidden: bool = False
    can_publish_data: bool = True

    def missing_for(self, sources: tuple[str, ...]) -> list[str]:
        """Return texts about the rights that are missing to publish these sources; empty if none is missing."""
        missing = []
        if not self.room_join or not self.room:
            missing.append("it does not allow to join a room (video.roomJoin with video.room)")
        if self.hidden:
            missing.append("it is hidden: viewers would not see what it publishes (video.hidden)")
        if not self.can_publish:
            missing.append("it does not allow to publish (video.canPublish is false)")
        elif self.can_publish_sources:
            missing += [
                f"it does not allow to publish the {source} (video.canPublishSources lacks it)"
                for source in sources
                if source not in self.can_publish_sources
            ]
        return missing

    def require_any(self, sources: tuple[str, ...]) -> None:
        """Raise CredentialError with the missing rights, unless at least one of these sources may be published."""
        missing = self.missing_for(sources)
        if missing and all(self.missing_for((each,)) for each in sources):
            raise CredentialError(
                f"the token is not enough: {'; '.join(missing)}", for_viewers="the token does not allow to publish"
            )


def _may_send(video: dict[str, Any]) -> bool:
    """Return whether a token allows to send data. The protocol treats an absent canPublishData as canPublish."""
    return video.get("canPublishData", video.get("canPublish")) is not False


def read_grants(token: str) -> Grants:
    """Decode a token's claims. Raises CredentialError, whose text does not contain the token, if it is invalid."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
        video = claims.get("video") or {}
        return Grants(
            identity=str(claims.get("sub") or ""),
            room=str(video.get("room") or ""),
            room_join=bool(video.get("roomJoin")),
            # The protocol treats an absent canPublish as allowed.
            can_publish=video.get("canPublish") is not False,
            can_publish_sources=tuple(str(source).lower() for source in video.get("canPublishSources") or ()),
            can_update_own_metadata=bool(video.get("canUpdateOwnMetadata")),
            expires_at=float(claims.get("exp") or 0),
            hidden=bool(video.get("hidden")),
            can_publish_data=_may_send(video),
        )
    except (jwt.PyJWTError, AttributeError, TypeError, ValueError, OverflowError, RecursionError):
        raise CredentialError("is not a LiveKit access token (a JWT of three parts with a `video` claim)") from None
