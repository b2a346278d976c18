"""Tokens of our own making: how long they last by whose clock, and who else has our identity."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol.models import ParticipantInfo
from livekit.protocol.room import ListParticipantsRequest, ListParticipantsResponse

from device import clock
from device.errors import CredentialError
from device.network.probe import Sight
from device.network.resolver import Resolver
from device.room.attributes import Attributes
from device.room.joining import Rival
from device.room.minting import ApiKey
from device.room.ticket import Ticket, Wanted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Answering = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

SECRET = "zq-a-secret-of-thirty-two-characters"
TTL_S = 600
IN_1970_S = 86_400.0
YEAR_S = 365 * 86_400
UNCHECKED: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}


def api_key(**changes: str) -> ApiKey:
    names = {"room": "front-door", "identity": "", "derived_identity": "device-1", "display_name": ""} | changes
    wanted = Wanted(urls=("wss://room.example",), attributes=Attributes(state="connecting"), **names)
    return ApiKey(wanted=wanted, key="k", secret=SECRET)


def seen(server_time_s: float | None, url: str = "wss://other.example") -> Sight:
    return Sight(url=url, address="192.0.2.1", server_time_s=server_time_s)


def obtained(at: Sight | None, *, now_s: float | None = None) -> tuple[Ticket, dict[str, Any]]:
    """Return a ticket and its claims, made with the wall clock as it is, or as it is set."""
    with pytest.MonkeyPatch.context() as patch:
        if now_s is not None:
            patch.setattr(time, "time", lambda: now_s)
        ticket = asyncio.run(api_key().obtain(at))
    return ticket, jwt.decode(ticket.token, SECRET, algorithms=["HS256"], options=UNCHECKED)


def test_a_clock_that_may_be_right_is_trusted() -> None:
    """Whatever the server says: on a closed network nobody knows better."""
    now_s = float(int(time.time()))
    for server_time_s in (None, now_s, now_s + YEAR_S, now_s - YEAR_S, 0.0):
        _, claims = obtained(seen(server_time_s), now_s=now_s)
        assert claims["exp"] - now_s == TTL_S
    _, claims = obtained(None, now_s=now_s)
    assert claims["exp"] - now_s == TTL_S


def test_a_clock_of_1970_lasts_by_the_servers_time() -> None:
    server_time_s = float(int(time.time()))
    _, claims = obtained(seen(server_time_s), now_s=IN_1970_S)
    assert claims["exp"] == server_time_s + TTL_S
    assert claims["nbf"] <= IN_1970_S


def test_a_clock_of_1970_and_a_server_that_tells_no_time() -> None:
    for at in (None, seen(None)):
        _, claims = obtained(at, now_s=IN_1970_S)
        assert claims["exp"] == IN_1970_S + TTL_S


@given(st.floats(0, 4e9), st.none() | st.floats(0, 4e9))
def test_a_token_never_lasts_shorter_nor_without_need_longer(now_s: float, server_time_s: float | None) -> None:
    _, claims = obtained(seen(server_time_s), now_s=now_s)
    wrong = clock.older_than_this_package(now_s) and server_time_s is not None and server_time_s > now_s
    expected = (server_time_s if wrong and server_time_s is not None else now_s) + TTL_S
    assert abs(claims["exp"] - expected) <= 2


def test_only_a_time_before_the_package_is_surely_wrong() -> None:
    built_s = Path(clock.__file__).stat().st_mtime
    assert clock.older_than_this_package(0)
    assert clock.older_than_this_package(built_s - 1)
    assert not clock.older_than_this_package(built_s)
    assert not clock.older_than_this_package(built_s + 50 * YEAR_S)
    assert not clock.older_than_this_package(time.time())


def test_the_ticket_is_for_the_server_that_was_seen() -> None:
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


def rival(answer: Answering, **changes: str) -> Rival:
    async def main() -> Rival:
        async with serving(answer) as url:
            return await api_key(**changes).rival(seen(None, url), Resolver())

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("identity", "there", "found"),
    (
        ("", ("viewer-1", "device-1"), Rival.PRESENT),
        ("", ("viewer-1", "device-10"), Rival.ABSENT),
        ("", (), Rival.ABSENT),
        ("porch", ("device-1",), Rival.ABSENT),
        ("porch", ("porch",), Rival.PRESENT),
    ),
)
def test_the_participants_tell_whether_our_identity_is_taken(
    identity: str, there: tuple[str, ...], found: Rival
) -> None:
    asked = []

    async def answer(request: web.BaseRequest) -> web.Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        claims = jwt.decode(token, SECRET, algorithms=["HS256"])
        asked.append((request.path, ListParticipantsRequest.FromString(await request.read()).room, claims["video"]))
        reply = ListParticipantsResponse(participants=[ParticipantInfo(identity=each) for each in there])
        return web.Response(body=reply.SerializeToString(), content_type="application/protobuf")

    assert rival(answer, identity=identity) is found
    [(path, room, grants)] = asked
    assert (path, room) == ("/twirp/livekit.RoomService/ListParticipants", "front-door")
    assert grants["roomAdmin"] is True
    assert "roomJoin" not in grants or not grants["roomJoin"]


def test_in_a_room_that_does_not_exist_there_is_nobody() -> None:
    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.json_response({"code": "not_found", "msg": "room does not exist"}, status=404)

    assert rival(answer) is Rival.ABSENT


def unknown(answer: Answering) -> str:
    with pytest.raises(CredentialError, match="does not list its participants") as caught:
        rival(answer)
    assert "zq" not in str(caught.value)
    assert len(str(caught.value)) < 100
    return str(caught.value)


def test_a_key_that_may_not_look_cannot_tell() -> None:
    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.json_response({"code": "unauthenticated", "msg": "zq"}, status=401)

    assert "unauthenticated" in unknown(answer)


@pytest.mark.parametrize(
    ("status", "body"),
    (
        (500, b"zq"),
        (502, b"<html>zq</html>"),
        (404, b"zq"),
        (404, json.dumps({"code": "bad_route", "msg": "zq"}).encode()),
        (200, b"\xff\xff\xff\xffzq"),
        (500, b"[]"),
        (500, b"{}"),
    ),
)
def test_an_answer_that_is_none_cannot_tell(status: int, body: bytes) -> None:
    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=status, body=body, content_type="application/json")

    unknown(answer)


def test_a_connection_that_breaks_cannot_tell() -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        assert request.transport
        request.transport.abort()
        return web.Response()

    unknown(answer)


def test_a_server_that_has_gone_cannot_tell() -> None:
    async def main() -> None:
        with pytest.raises(CredentialError, match="does not list its participants"):
            await api_key().rival(seen(None, "ws://127.0.0.1:1"), Resolver())

    asyncio.run(main())
