"""A token endpoint on the core network that fails until it is repaired."""

from __future__ import annotations

import asyncio
import enum
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web
from livekit import api

from tests.faults.network import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.livekit_server import Server

_SLOW_S = 60.0


class Trouble(enum.Enum):
    """The kind of failure."""

    DOWN = "down"
    ERROR = "answers 500"
    SLOW = "does not answer"
    GARBAGE = "answers garbage"
    REFUSES = "answers 401"


@dataclass(slots=True, kw_only=True)
class BadEndpoint:
    """`requests` counts the requests; one that is down does not receive any."""

    server: Server
    trouble: Trouble
    port: int
    runner: web.AppRunner
    requests: int = 0
    healthy: bool = False

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/token"

    async def listen(self) -> None:
        await web.TCPSite(self.runner, HOST, self.port).start()

    async def heal(self) -> None:
        self.healthy = True
        if self.trouble is Trouble.DOWN:
            await self.listen()

    async def answer(self, request: web.Request) -> web.Response:
        self.requests += 1
        if not self.healthy:
            return await self._badly()
        asked = await request.json()
        grants = api.VideoGrants(
            room_join=True, room=asked["room_name"], can_publish=True, can_update_own_metadata=True
        )
        minted = api.AccessToken(self.server.api_key, self.server.api_secret).with_grants(grants)
        token = minted.with_identity(asked["participant_identity"]).to_jwt()
        return web.json_response({"server_url": self.server.url, "participant_token": token}, status=201)

    async def _badly(self) -> web.Response:
        if self.trouble is Trouble.SLOW:
            await asyncio.sleep(_SLOW_S)
        if self.trouble is Trouble.GARBAGE:
            return web.Response(text='{"server_url": [], "participant_token": "\x00\xff', status=200)
        return web.Response(status=401 if self.trouble is Trouble.REFUSES else 500)


@asynccontextmanager
async def bad_endpoint(server: Server, trouble: Trouble, port: int) -> AsyncIterator[BadEndpoint]:
    """Serve on a port; one that is down listens after `heal` is called."""
    app = web.Application()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    state = BadEndpoint(server=server, trouble=trouble, port=port, runner=runner)
    app.router.add_post("/token", state.answer)
    await runner.setup()
    try:
        if trouble is not Trouble.DOWN:
            await state.listen()
        yield state
    finally:
        await runner.cleanup()
