"""A small token endpoint that follows LiveKit's documentation."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web
from livekit import api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.livekit_server import Server

KEY = "endpoint-test-key"


@dataclass(slots=True, kw_only=True)
class TokenEndpoint:
    """The address of the endpoint, and the requests that it received."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0


@asynccontextmanager
async def token_endpoint(server: Server) -> AsyncIterator[TokenEndpoint]:
    """Serve tokens to requests with the right X-Api-Key header."""
    state = TokenEndpoint()

    async def answer(request: web.Request) -> web.Response:
        if request.headers.get("X-Api-Key") != KEY:
            state.refused += 1
            return web.Response(status=401)
        asked = await request.json()
        state.requests.append(asked)
        grants = api.VideoGrants(
            room_join=True, room=asked["room_name"], can_publish=True, can_update_own_metadata=True
        )
        token = (
            api.AccessToken(server.api_key, server.api_secret)
            .with_identity(asked["participant_identity"])
            .with_name(asked.get("participant_name", ""))
            .with_grants(grants)
        )
        return web.json_response({"server_url": server.url, "participant_token": token.to_jwt()}, status=201)

    app = web.Application()
    app.router.add_post("/token", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        state.url = f"http://127.0.0.1:{runner.addresses[0][1]}/token"
        yield state
    finally:
        await runner.cleanup()
