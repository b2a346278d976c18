"""The token endpoint's client with a real HTTP server."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from aiohttp import web

from device.errors import CredentialError
from device.telemetry.attributes import Attributes
from device.tokens.endpoint import Endpoint, read_headers
from device.tokens.join_token import JoinToken, TokenRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    Answering = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

KEY = "k" * 32
TOKEN = jwt.encode(
    {"sub": "porch", "video": {"room": "front-door", "roomJoin": True}, "exp": int(time.time()) + 600}, KEY
)
GOOD = {"server_url": "wss://other.example", "participant_token": TOKEN}


def wanted(**changes: str) -> TokenRequest:
    values: dict[str, Any] = {"room": "", "identity": "", "derived_identity": "device-1", "display_name": ""} | changes
    return TokenRequest(urls=("wss://room.example",), attributes=Attributes(state="connecting"), **values)


@asynccontextmanager
async def serving(answer: Answering) -> AsyncIterator[str]:
    server = web.Server(answer)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/token"
    finally:
        await runner.cleanup()


class Recorder:
    """Returns responses from a list and records the requests."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        assert request.method == "POST"
        self.bodies.append(await request.json())
        self.headers.append(dict(request.headers))
        status, reply = self.answers.pop(0)
        return web.Response(status=status, body=reply if isinstance(reply, bytes) else json.dumps(reply).encode())


def obtain(answer: Answering, *, headers_file: Path | None = None, query: str = "", **changes: str) -> JoinToken:
    async def main() -> JoinToken:
        async with serving(answer) as url:
            return await Endpoint(wanted=wanted(**changes), url=url + query, headers_file=headers_file).obtain()

    return asyncio.run(main())


def refusal(answer: Answering, *, query: str = "", **changes: str) -> str:
    with pytest.raises(CredentialError) as caught:
        obtain(answer, headers_file=None, query=query, **changes)
    assert caught.value.retry
    said = str(caught.value)
    assert TOKEN not in said
    assert "zq" not in said
    return said


@pytest.mark.parametrize("status", (200, 201))
def test_a_response_becomes_a_join_token(status: int) -> None:
    recorder = Recorder((status, GOOD))
    join_token = obtain(recorder)
    assert (join_token.url, join_token.token) == ("wss://other.example", TOKEN)
    assert join_token.grants.identity == "porch"
    assert recorder.bodies == [
        {"participant_identity": "device-1", "participant_attributes": {"device.state": "connecting"}}
    ]


def test_configured_names_are_requested() -> None:
    recorder = Recorder((201, GOOD))
    obtain(recorder, room="front-door", identity="porch", display_name="Porch")
    assert recorder.bodies == [
        {
            "room_name": "front-door",
            "participant_identity": "porch",
            "participant_name": "Porch",
            "participant_attributes": {"device.state": "connecting"},
        }
    ]


def test_headers_are_sent_and_read_again_each_time(tmp_path: Path) -> None:
    path = tmp_path / "headers"
    recorder = Recorder((200, GOOD), (200, GOOD))

    async def main() -> None:
        async with serving(recorder) as url:
            endpoint = Endpoint(wanted=wanted(), url=url, headers_file=path)
            for value in ("one", "two"):
                path.write_text(f"# a comment\n\nX-Key:  {value} \nAuthorization: Bearer {value}:x\n")
                await endpoint.obtain()

    asyncio.run(main())
    assert [headers["X-Key"] for headers in recorder.headers] == ["one", "two"]
    assert [headers["Authorization"] for headers in recorder.headers] == ["Bearer one:x", "Bearer two:x"]


def test_headers_are_read_as_written(tmp_path: Path) -> None:
    path = tmp_path / "headers"
    path.write_text("A:b\nX-Empty:\nX-Colon: a: b\n")
    assert read_headers(path) == {"A": "b", "X-Empty": "", "X-Colon": "a: b"}


def test_without_a_server_url_the_configured_one_is_used() -> None:
    assert obtain(Recorder((200, {"participant_token": TOKEN}))).url == "wss://room.example"


@pytest.mark.parametrize("status", (400, 403, 422))
def test_an_endpoint_that_refuses_the_derived_identity_is_called_without_it(status: int) -> None:
    """Before that it is called without our attributes. Configured values are always sent."""
    recorder = Recorder((status, {}), (status, {}), (201, GOOD))
    assert obtain(recorder).grants.identity == "porch"
    assert ["participant_attributes" in body for body in recorder.bodies] == [True, False, False]
    assert ["participant_identity" in body for body in recorder.bodies] == [True, True, False]


def test_a_configured_identity_is_always_sent() -> None:
    recorder = Recorder((403, {"error": "zq"}), (403, {"error": "zq"}))
    assert "HTTP 403" in refusal(recorder, identity="porch")
    assert [body["participant_identity"] for body in recorder.bodies] == ["porch", "porch"]


def test_a_request_that_is_refused_without_optional_fields_is_an_error() -> None:
    recorder = Recorder((403, b"zq"), (403, b"zq"), (403, b"zq"))
    said = refusal(recorder, room="front-door")
    assert "HTTP 403" in said
    assert "room_name" in said
    assert len(recorder.bodies) == 3


def test_401_is_an_error_that_names_the_headers_file() -> None:
    recorder = Recorder((401, {"error": f"zq {TOKEN}"}))
    said = refusal(recorder, query="?key=zq")
    assert "HTTP 401; look at credentials.endpoint_headers_file" in said
    assert len(recorder.bodies) == 1


@pytest.mark.parametrize("status", (204, 404, 429, 500, 503))
def test_other_statuses_are_an_error(status: int) -> None:
    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=status, text=None if status == 204 else f"zq {TOKEN}")

    assert f"answered HTTP {status}" in refusal(answer)


@pytest.mark.parametrize(
    "body",
    (
        b"",
        b"zq",
        b"<html>zq</html>",
        b"\xff\xfe\x00zq",
        b"null",
        b'"zq"',
        b"[]",
        b"{}",
        b'{"participant_token": 5}',
        b'{"participant_token": ""}',
        b'{"participant_token": null}',
        b'{"participant_token": ["zq"]}',
        b'{"participant_token": "zq.zq.zq"}',
        b'{"participant_token": "zq"}',
        b'{"token": "zq", "serverUrl": "zq"}',
        json.dumps({"server_url": 5, "participant_token": TOKEN}).encode(),
        json.dumps({"server_url": "", "participant_token": TOKEN}).encode(),
        b"[" * 60_000,
        b'{"a":' * 10_000,
    ),
)
def test_an_invalid_reply_is_an_error_without_its_content(body: bytes) -> None:
    said = refusal(Recorder((200, body)))
    assert said.startswith("token endpoint http://127.0.0.1:")


def test_a_token_with_invalid_claims() -> None:
    for claims in ({"exp": 10**400}, {"exp": [5]}, {"video": ["zq"]}, {"video": {"canPublishSources": 5}}):
        token = jwt.encode({"sub": "porch"} | claims, KEY)
        with pytest.raises(CredentialError, match="not a LiveKit access token") as caught:
            obtain(Recorder((200, {"participant_token": token})))
        assert token not in str(caught.value)


def test_a_token_that_contradicts_the_file_shows_both() -> None:
    said = refusal(Recorder((200, GOOD)), room="back-door")
    assert "'back-door'" in said
    assert "'front-door'" in said
    assert "'garage'" in refusal(Recorder((200, GOOD)), identity="garage")


def test_an_endless_reply_is_read_up_to_a_limit() -> None:
    sent = 0

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while sent < 256 << 20:
                await response.write(b" " * (64 << 10))
                sent += 64 << 10
        except ConnectionError:
            pass
        return response

    assert "participant_token" in refusal(answer)
    assert sent < 64 << 20


def test_a_redirect_is_not_followed() -> None:
    asked = []

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    assert "HTTP 307" in refusal(answer)
    assert asked == ["/token"]


def test_a_broken_connection_is_an_error() -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        assert request.transport
        request.transport.abort()
        return web.Response()

    assert "cannot be reached" in refusal(answer)


def test_a_peer_that_does_not_speak_http_is_an_error() -> None:
    async def main() -> None:
        async def babble(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"zq\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            await Endpoint(wanted=wanted(), url=f"http://127.0.0.1:{port}/").obtain()

    with pytest.raises(CredentialError, match="cannot be reached") as caught:
        asyncio.run(main())
    assert "zq" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    (
        "http://127.0.0.1:1/",
        "http://127.0.0.1:99999/",
        "http://u:zq@127.0.0.1:1/?key=zq",
        "http://a..invalid/",
        "http://.invalid/",
        f"http://{'a' * 80}.invalid/",
    ),
)
def test_an_endpoint_that_cannot_be_reached_is_tried_again(url: str) -> None:
    """For any host name: a URL that the configuration accepts must not end the daemon."""
    with pytest.raises(CredentialError, match="cannot be reached") as caught:
        asyncio.run(Endpoint(wanted=wanted(), url=url).obtain())
    assert caught.value.retry
    assert "zq" not in str(caught.value)
    assert "zq" not in repr(Endpoint(wanted=wanted(), url=url))
