"""Minted tokens: their validity by the server's clock, and the list of participants with our identity."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from device import clock
from device.errors import CredentialError
from device.network.probe import ProbeResult
from device.network.resolver import Resolver
from device.telemetry.attributes import Attributes
from device.tokens.grants import read_grants
from device.tokens.join_token import IdentityHolder, JoinToken, TokenRequest
from device.tokens.minting import ApiKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Answering = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

SECRET = "zq-a-secret-of-thirty-two-characters"
TTL_S = 600
DAY_S = 86_400
YEAR_S = 365 * DAY_S
UNCHECKED: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}


def api_key(**changes: str) -> ApiKey:
    names: dict[str, Any] = {
        "room": "front-door",
        "identity": "",
        "derived_identity": "device-1",
        "display_name": "",
    } | changes
    wanted = TokenRequest(urls=("wss://room.example",), attributes=Attributes(state="connecting"), **names)
    return ApiKey(wanted=wanted, key="k", secret=SECRET)


@pytest.mark.parametrize("data", (False, True))
def test_the_device_may_send_data_if_it_answers_calls(*, data: bool) -> None:
    minting = replace(api_key(), wanted=replace(api_key().wanted, data=data))
    token = minting.publisher_token()
    assert jwt.decode(token, SECRET, algorithms=["HS256"], options=UNCHECKED)["video"]["canPublishData"] is data
    assert read_grants(token).can_publish_data is data


def seen(server_time_s: float | None, url: str = "wss://other.example") -> ProbeResult:
    return ProbeResult(url=url, address="192.0.2.1", server_time_s=server_time_s)


def obtained(at: ProbeResult | None, *, now_s: float | None = None) -> tuple[JoinToken, dict[str, Any]]:
    """Return a join token and its claims, minted with the real or a given wall clock."""
    with pytest.MonkeyPatch.context() as patch:
        if now_s is not None:
            patch.setattr(time, "time", lambda: now_s)
        join_token = asyncio.run(api_key().obtain(at))
    return join_token, jwt.decode(join_token.token, SECRET, algorithms=["HS256"], options=UNCHECKED)


@pytest.mark.parametrize(
    "off_s",
    (0, -2 * DAY_S, -15 * 60, 5 * 60, 2 * 3600, 3 * YEAR_S, -3 * YEAR_S),
    ids=["right", "2 days behind", "15 min behind", "5 min ahead", "2 h ahead", "3 years ahead", "3 years behind"],
)
def test_a_token_is_valid_by_the_servers_clock(off_s: int) -> None:
    server_time_s = float(int(time.time()))
    _, claims = obtained(seen(server_time_s), now_s=server_time_s + off_s)
    assert abs(claims["exp"] - server_time_s - TTL_S) <= 2
    assert claims["nbf"] <= server_time_s - 30  # another node of the server may be behind


@given(st.floats(0, 4e9), st.none() | st.floats(0, 4e9))
def test_a_token_lasts_by_the_servers_time_and_without_it_by_ours(now_s: float, server_time_s: float | None) -> None:
    _, claims = obtained(seen(server_time_s), now_s=now_s)
    expected = (now_s if server_time_s is None else server_time_s) + TTL_S
    assert abs(claims["exp"] - expected) <= 2
    assert claims["nbf"] < claims["exp"] - TTL_S


def test_a_token_that_is_minted_long_after_the_probe_is_valid_then() -> None:
    """Devices spread their joins after an outage, over up to an hour."""
    server_time_s = float(int(time.time()))
    at = ProbeResult(
        url="wss://other.example",
        address="192.0.2.1",
        server_time_s=server_time_s,
        seen_at_s=time.monotonic() - 3600,
    )
    _, claims = obtained(at, now_s=0.0)
    assert abs(claims["exp"] - (server_time_s + 3600 + TTL_S)) <= 2


def test_viewers_tokens_follow_the_servers_clock_too() -> None:
    server_time_s = float(int(time.time()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: server_time_s - YEAR_S)
        token = api_key().viewer_token(at=seen(server_time_s), ttl=datetime.timedelta(minutes=30))
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], options=UNCHECKED)
    assert abs(claims["exp"] - server_time_s - 1800) <= 2


@pytest.mark.parametrize(
    ("offsets", "reported"),
    (
        ((0, 1, -2, 4), []),
        ((7200, 7201, 7199), [7200]),
        ((-900, 0), [-900, 0]),
        ((6, 8, 20, 20, 0), [6, 20, 0]),
    ),
)
def test_the_offset_of_a_clock_is_reported_once_and_when_it_changes(
    offsets: tuple[float, ...], reported: list[float]
) -> None:
    known = clock.ServerClock()
    found = [known.update(1000.0 - offset, 1000.0) for offset in offsets]
    assert [each for each in found if each is not None] == reported
    assert known.offset_s == offsets[-1]


def test_the_join_token_is_for_the_probed_server() -> None:
    assert obtained(seen(None))[0].url == "wss://other.example"
    assert obtained(None)[0].url == "wss://room.example"


@asynccontextmanager
async def serving(answer: Answering) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def identity_holder(answer: Answering, **changes: str) -> IdentityHolder:
    async def main() -> IdentityHolder:
        async with serving(answer) as url:
            return await api_key(**changes).identity_holder(seen(None, url), Resolver())

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("identity", "there", "found"),
    (
        ("", ("viewer-1", "device-1"), IdentityHolder.PRESENT),
        ("", ("viewer-1", "device-10"), IdentityHolder.ABSENT),
        ("", (), IdentityHolder.ABSENT),
        ("porch", ("device-1",), IdentityHolder.ABSENT),
        ("porch", ("porch",), IdentityHolder.PRESENT),
    ),
)
def test_the_list_of_participants_shows_whether_our_identity_is_in_use(
    identity: str, there: tuple[str, ...], found: IdentityHolder
) -> None:
    asked = []

    async def answer(request: web.BaseRequest) -> web.Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        claims = jwt.decode(token, SECRET, algorithms=["HS256"])
        asked.append((request.path, (await request.json())["room"], claims["video"]))
        return web.json_response({"participants": [{"sid": "PA_1", "identity": each} for each in there]})

    assert identity_holder(answer, identity=identity) is found
    [(path, room, grants)] = asked
    assert (path, room) == ("/twirp/livekit.RoomService/ListParticipants", "front-door")
    assert grants["roomAdmin"] is True
    assert "roomJoin" not in grants or not grants["roomJoin"]


def test_a_long_list_that_arrives_in_parts_is_read_to_its_end() -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        there = [{"identity": f"viewer-{number}"} for number in range(5000)] + [{"identity": "device-1"}]
        body = json.dumps({"participants": there}).encode()
        response = web.StreamResponse()
        await response.prepare(request)
        for start in range(0, len(body), 10_000):
            await response.write(body[start : start + 10_000])
            await asyncio.sleep(0)
        return response

    assert identity_holder(answer) is IdentityHolder.PRESENT


def test_a_list_without_end_cannot_tell() -> None:
    written: list[int] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"participants": [')
        with contextlib.suppress(ConnectionError):
            while len(written) < 1000:
                await response.write(b'{"identity": "zq"},' * 5000)
                written.append(1)
        return response

    assert "longer than 4 MiB" in unknown(answer)
    assert len(written) < 1000


def test_in_a_room_that_does_not_exist_there_is_nobody() -> None:
    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.json_response({"code": "not_found", "msg": "room does not exist"}, status=404)

    assert identity_holder(answer) is IdentityHolder.ABSENT


def unknown(answer: Answering) -> str:
    with pytest.raises(CredentialError, match="does not list its participants") as caught:
        identity_holder(answer)
    assert "zq" not in str(caught.value)
    assert len(str(caught.value)) < 100
    return str(caught.value)


def test_a_key_that_may_not_list_participants_is_an_error() -> None:
    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.json_response({"code": "unauthenticated", "msg": "zq"}, status=401)

    assert "HTTP 401" in unknown(answer)


@pytest.mark.parametrize(
    ("status", "body"),
    (
        (500, b"zq"),
        (502, b"<html>zq</html>"),
        (404, b"zq"),
        (404, json.dumps({"code": "bad_route", "msg": "zq"}).encode()),
        (200, b"\xff\xff\xff\xffzq"),
        (200, b'{"participants": "zq"}'),
        (302, b"{}"),
        (500, b"[]"),
        (500, b"{}"),
    ),
)
def test_an_invalid_response_is_an_error(status: int, body: bytes) -> None:
    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=status, body=body, content_type="application/json")

    unknown(answer)


def test_the_list_is_requested_below_the_servers_path() -> None:
    asked = []

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.append(request.path)
        return web.json_response({})

    async def main() -> IdentityHolder:
        async with serving(answer) as url:
            return await api_key().identity_holder(seen(None, f"{url}/lk"), Resolver())

    assert asyncio.run(main()) is IdentityHolder.ABSENT
    assert asked == ["/lk/twirp/livekit.RoomService/ListParticipants"]


def test_a_broken_connection_is_an_error() -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        assert request.transport
        request.transport.abort()
        return web.Response()

    unknown(answer)


def test_an_unreachable_server_is_an_error() -> None:
    async def main() -> None:
        with pytest.raises(CredentialError, match="does not list its participants"):
            await api_key().identity_holder(seen(None, "ws://127.0.0.1:1"), Resolver())

    asyncio.run(main())
