"""An identity conflict, with an endpoint that grants, refuses or ignores the request for another identity."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from aiohttp import web

from device.errors import CredentialError
from device.network.probe import ProbeResult
from device.network.resolver import Resolver
from device.telemetry.attributes import Attributes
from device.tokens.endpoint import Endpoint
from device.tokens.join_token import IdentityHolder, TokenRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

KEY = "k" * 32
SEEN = ProbeResult(url="wss://seen.example", address="192.0.2.1", server_time_s=None)


def token(identity: str) -> str:
    claims = {"sub": identity, "video": {"room": "front-door", "roomJoin": True}, "exp": int(time.time()) + 600}
    return jwt.encode(claims, KEY)


class Service:
    """Grants the requested identity or a fixed one; records the requests."""

    def __init__(self, *, status: int = 201, always: str = "") -> None:
        self.status, self.always = status, always
        self.asked: list[str | None] = []

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        identity = (await request.json()).get("participant_identity")
        self.asked.append(identity)
        reply = {"participant_token": token(self.always or identity or "anybody")}
        return web.Response(
            status=self.status, body=json.dumps(reply if self.status < 300 else {"error": "zq"}).encode()
        )


def with_endpoint(service: Service, use: Callable[[Endpoint], Awaitable[Any]], **changes: str) -> Any:
    async def main() -> Any:
        runner = web.ServerRunner(web.Server(service))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        names: dict[str, Any] = {
            "room": "",
            "identity": "",
            "derived_identity": "device-1",
            "display_name": "",
        } | changes
        wanted = TokenRequest(urls=("wss://room.example",), attributes=Attributes(), **names)
        try:
            return await use(Endpoint(wanted=wanted, url=f"http://127.0.0.1:{runner.addresses[0][1]}/token"))
        finally:
            await runner.cleanup()

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("identity", "another"),
    (("", r"device-1-[0-9a-f]{4}"), ("device-1", r"device-1-[0-9a-f]{4}"), ("porch", "device-1")),
)
def test_a_granted_identity_is_used_from_then_on(identity: str, another: str) -> None:
    service = Service()

    async def use(endpoint: Endpoint) -> list[str]:
        assert await endpoint.identity_holder(SEEN, Resolver()) is IdentityHolder.ABSENT
        return [(await endpoint.obtain(SEEN, Resolver())).grants.identity for _ in range(2)]

    granted = with_endpoint(service, use, identity=identity)
    assert granted == service.asked[1:]
    assert len(set(service.asked)) == 1
    assert re.fullmatch(another, granted[0])


def test_two_cloned_cards_request_different_identities() -> None:
    async def use(endpoint: Endpoint) -> None:
        await endpoint.identity_holder(SEEN, Resolver())

    services = [Service() for _ in range(8)]
    for service in services:
        with_endpoint(service, use)
    assert len({service.asked[0] for service in services}) >= 7  # of 65536: two may be equal by chance


@pytest.mark.parametrize("status", (400, 403, 422, 401, 500))
def test_an_endpoint_that_refuses_another_identity_changes_nothing(status: int) -> None:
    service = Service(status=status)

    async def use(endpoint: Endpoint) -> str:
        with pytest.raises(CredentialError, match=f"HTTP {status}") as caught:
            await endpoint.identity_holder(SEEN, Resolver())
        service.status, service.asked = 200, []
        assert (await endpoint.obtain(SEEN, Resolver())).grants.identity == "porch"
        return str(caught.value)

    assert "zq" not in with_endpoint(service, use, identity="porch")
    assert service.asked == ["porch"]


def test_an_endpoint_that_ignores_the_requested_identity_changes_nothing() -> None:
    service = Service(always="porch")

    async def use(endpoint: Endpoint) -> None:
        with pytest.raises(CredentialError, match="'porch' in the token"):
            await endpoint.identity_holder(SEEN, Resolver())
        assert (await endpoint.obtain(SEEN, Resolver())).grants.identity == "porch"

    with_endpoint(service, use)
    assert service.asked[1:] == ["device-1"]


def test_a_conflict_over_the_second_identity_requests_a_third() -> None:
    service = Service()

    async def use(endpoint: Endpoint) -> list[str]:
        found = []
        for _ in range(3):
            await endpoint.identity_holder(SEEN, Resolver())
            found.append((await endpoint.obtain(SEEN, Resolver())).grants.identity)
        return found

    assert len(set(with_endpoint(service, use))) == 3


def test_without_a_server_url_the_probed_server_is_used() -> None:
    async def use(endpoint: Endpoint) -> str:
        return (await endpoint.obtain(SEEN, Resolver())).url

    assert with_endpoint(Service(), use) == "wss://seen.example"


def test_the_endpoints_name_is_resolved_by_our_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """A query that hangs is only a failed attempt."""
    asked = []

    def getaddrinfo(host: str, *_rest: object, **_more: object) -> list[Any]:
        asked.append(host)
        if host == "unknown.example":
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(0, 0, 0, "", ("127.0.0.1", 0))]

    async def use(endpoint: Endpoint) -> None:
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        port = endpoint.url.rpartition(":")[2]
        endpoint.url = f"http://tokens.example:{port}"
        assert (await endpoint.obtain(SEEN, Resolver())).grants.identity == "device-1"
        endpoint.url = "http://unknown.example/token"
        with pytest.raises(CredentialError, match=r"unknown\.example does not resolve: Temporary failure") as caught:
            await endpoint.obtain(SEEN, Resolver())
        assert caught.value.retry

    with_endpoint(Service(), use)
    assert asked == ["tokens.example", "unknown.example"]
