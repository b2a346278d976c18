"""Tokens for participants of a test; minting does not load the SDK's native library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit import api

if TYPE_CHECKING:
    from tests.support.livekit_server import Server


def token(server: Server, room: str, *, identity: str = "watcher", publish: bool = False) -> str:
    grants = api.VideoGrants(room_join=True, room=room, can_publish=publish, can_subscribe=True, can_publish_data=True)
    return api.AccessToken(server.api_key, server.api_secret).with_identity(identity).with_grants(grants).to_jwt()
