"""The viewer's server over real sockets: responses, access checks, and shutdown."""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any
from unittest.mock import ANY

import aiohttp
import pytest
from structlog.testing import capture_logs

from device.viewer import server
from device.viewer.passes import RoomPass
from device.viewer.server import Page, Site, ViewerBundleMissing, serving
from device.viewer.token_requests import NO_SECRET, TOO_MANY, WRONG_SECRET
from device.viewer.tries import BURST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

ROOM = "wss://room.example:7880/some/path"
TOKEN = "header.payload.signature"
SECRET = "kq3-a-secret-of-a-link"
EMPTY: Any = b'{"secret": ""}'
Answer = tuple[int, "Mapping[str, str]", str]


@pytest.fixture(autouse=True)
def vendor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the bundle, so that these tests need no npm."""
    for name in server.VENDOR_FILES:
        (tmp_path / name).write_text(f"// {name}\n")
    monkeypatch.setattr(server, "VENDOR", tmp_path)
    return tmp_path


def site(
    mint: Callable[[], str] = lambda: TOKEN, *, urls: tuple[str, ...] = (ROOM,), secret: str = "", more: str = ""
) -> Site:
    async def minting() -> RoomPass:
        return RoomPass(token=mint(), urls=urls)

    pages = (Page(mint=minting, secret=secret),)
    return Site(pages=pages, room_urls=urls, own_name="box", allowed_hosts=frozenset({more} - {""}))


def ask(
    *requests: tuple[str, dict[str, str]],
    host: str = "127.0.0.1",
    what: Site | None = None,
    method: str = "",
    bodies: Iterable[bytes] = (),
) -> list[Answer]:
    """Serve, send the requests (path, headers) in turn, and return (status, headers, text) of each.

    The bodies are those of the first requests. A token is asked for by POST, everything else by GET.
    """

    async def main() -> list[Answer]:
        answers: list[Answer] = []
        async with serving(what or site(), host=host, port=0) as url, aiohttp.ClientSession(url) as session:
            for (path, headers), body in zip_longest(requests, bodies, fillvalue=EMPTY):
                assert isinstance(path, str)
                by = method or ("POST" if path == "/token" else "GET")
                more = {"Content-Type": "application/json"} | headers
                async with session.request(by, path, headers=more, data=body if by == "POST" else None) as response:
                    answers.append((response.status, response.headers.copy(), await response.text()))
        return answers

    return asyncio.run(main())


def given(secret: str) -> bytes:
    return json.dumps({"secret": secret}).encode()


def directives(headers: Mapping[str, str]) -> dict[str, list[str]]:
    policy = headers["Content-Security-Policy"]
    return {name: values for name, *values in (each.split() for each in policy.split(";"))}


def test_page_runs_under_its_own_policy() -> None:
    ((status, headers, page),) = ask(("/", {}))
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    policy = directives(headers)
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == ["'self'"]
    assert not re.search(r"<(script|style)[^>]*>[^<]", page), "the policy would block inline code"
    assert not re.search(r"\s(style|on[a-z]+)=\"", page), "the policy would block inline attributes"
    for code in (server.HERE / "page").glob("*.js"):
        assert not re.search(r"\.(innerHTML|outerHTML|insertAdjacentHTML)\b|document\.write|eval\(", code.read_text())
    linked = re.findall(r'(?:href|src)="(page/[^"]+)"', page)
    assert linked
    assert {status for status, _, _ in ask(*((f"/{each}", {}) for each in linked))} == {200}


@pytest.mark.parametrize(
    ("room_url", "reachable"),
    (
        ("ws://10.0.0.2:7880", ["ws://10.0.0.2:7880", "http://10.0.0.2:7880"]),
        ("http://10.0.0.2:7880/", ["ws://10.0.0.2:7880", "http://10.0.0.2:7880"]),
        ("wss://room.example", ["wss://room.example", "https://room.example"]),
        ("wss://user:secret@room.example:444/rtc", ["wss://room.example:444", "https://room.example:444"]),
        ("ws://[fd00::1]:7880", ["ws:", "http:"]),
        (
            "wss://mine.livekit.cloud",
            [
                *("wss://mine.livekit.cloud", "wss://*.livekit.cloud"),
                *("https://mine.livekit.cloud", "https://*.livekit.cloud"),
            ],
        ),
    ),
)
def test_page_may_reach_the_room_and_nothing_else(room_url: str, reachable: list[str]) -> None:
    ((_, headers, _),) = ask(("/", {}), what=site(urls=(room_url,)))
    assert directives(headers)["connect-src"] == ["'self'", *reachable]


@pytest.mark.parametrize("room_url", ("", "room.example", "ftp://room.example", "ws://", "ws:///x"))
def test_room_url_must_be_one(room_url: str) -> None:
    with pytest.raises(ValueError, match="room_url"):
        ask(what=site(urls=(room_url,)))


def test_each_token_is_fresh_and_not_cached() -> None:
    minted = iter(["first", "second"])
    (status, headers, first), (_, _, second) = ask(("/token", {}), ("/token", {}), what=site(lambda: next(minted)))
    assert status == 200
    assert headers["Content-Type"].startswith("application/json")
    assert headers["Cache-Control"] == "no-store"
    assert not [name for name in headers if name.lower().startswith("access-control-")]
    assert '"token": "first"' in first
    assert f'"url": "{ROOM}"' in first
    assert '"token": "second"' in second


def test_token_is_in_no_log() -> None:
    with capture_logs() as logs:
        ask(("/token", {}))
    assert {"event": "viewer.token_minted", "kind": "viewer", "peer": "127.0.0.1", "log_level": "info"} in logs
    assert TOKEN not in str(logs)


def test_a_failing_mint_is_a_short_error() -> None:
    def mint() -> str:
        raise OSError("no key file")

    with capture_logs() as logs:
        ((status, headers, text),) = ask(("/token", {}), what=site(mint))
    assert (status, text) == (503, "No token is available now.")
    assert headers["Cache-Control"] == "no-store"
    (failed,) = [each for each in logs if each["event"] == "viewer.token_failed"]
    assert failed == {**failed, "kind": "viewer", "peer": "127.0.0.1", "error": ANY, "log_level": "warning"}
    assert "no key file" not in str(logs)  # the text of an exception may contain secrets
    assert "OSError" in str(logs)


@pytest.mark.parametrize(
    ("headers", "status"),
    (
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1", "Host": "localhost:1"}, 200),
        ({"Origin": "http://localhost:2", "Host": "localhost:1"}, 403),
    ),
)
def test_token_is_for_the_page_alone(headers: dict[str, str], status: int) -> None:
    ((got, _, text),) = ask(("/token", headers))
    assert got == status
    assert (TOKEN in text) == (status == 200)


def test_rebound_name_gets_nothing() -> None:
    answers = ask(*((path, {"Host": "evil.example"}) for path in ("/", "/token", "/vendor/x", "/x")))
    assert [status for status, _, _ in answers] == [403] * 4
    assert TOKEN not in str(answers)


def test_only_the_known_files_are_served() -> None:
    known: list[tuple[str, dict[str, str]]] = [(f"/vendor/{name}", {}) for name in server.VENDOR_FILES]
    for status, headers, text in ask(*known):
        assert status == 200
        assert headers["Content-Type"].partition(";")[0] in {"text/javascript", "application/javascript"}
        assert text.startswith("// livekit-client.")
    unknown = (
        "/vendor/",
        "/vendor/LICENSE",
        "/vendor/..%2fserver.py",
        "/page/",
        "/page/index.html",
        "/page/..%2fserver.py",
        "/token/",
        "/favicon.ico",
    )
    assert {status for status, _, _ in ask(*((path, {}) for path in unknown))} == {404}


def test_a_token_is_asked_for_by_post_and_the_page_by_get() -> None:
    answers = [*ask(("/", {}), method="POST"), *ask(("/token", {}), method="GET"), *ask(("/token", {}), method="PUT")]
    assert [(status, TOKEN in text) for status, _, text in answers] == [(405, False)] * 3


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    (
        ("application/json", b'{"secret": ""}', 200),
        ("text/plain", b'{"secret": ""}', 415),
        ("application/x-www-form-urlencoded", b"secret=", 415),
        ("application/json", b"", 400),
        ("application/json", b"[]", 400),
        ("application/json", b"[" * 1000, 400),
        ("application/json", b'{"secret": 1}', 400),
        ("application/json", '{"secret": "\u00e9"}'.encode(), 400),
        ("application/json", b'{"secret": "' + b"x" * 2000 + b'"}', 413),
    ),
)
def test_a_request_for_a_token_is_short_json(kind: str, body: bytes, status: int) -> None:
    ((got, _, text),) = ask(("/token", {"Content-Type": kind}), bodies=[body])
    assert got == status
    assert (TOKEN in text) == (status == 200)


def test_beyond_loopback_a_token_needs_the_secret() -> None:
    bodies = [given(""), given("a-wrong-one"), given(SECRET)]
    with capture_logs() as logs:
        answers = ask(*[("/token", {})] * 3, host="0.0.0.0", what=site(secret=SECRET), bodies=bodies)
    assert [(status, TOKEN in text) for status, _, text in answers] == [(403, False), (403, False), (200, True)]
    assert [text for _, _, text in answers[:2]] == [NO_SECRET, WRONG_SECRET]
    assert SECRET not in f"{answers}{logs}"
    assert [each["why"] for each in logs if each["event"] == "viewer.token_refused"] == ["wrong secret"]


def test_wrong_secrets_cannot_be_tried_without_end() -> None:
    bodies = [*[given("a-wrong-one")] * BURST, given(SECRET), given("")]
    answers = ask(*[("/token", {})] * len(bodies), what=site(secret=SECRET), bodies=bodies)
    assert [status for status, _, _ in answers] == [*[403] * BURST, 429, 403]
    assert answers[-2][2] == TOO_MANY


def test_each_page_has_its_own_secret_and_its_own_tokens() -> None:
    async def other() -> RoomPass:
        return RoomPass(token="other", urls=(ROOM,))

    second = Page(mint=other, secret="another", kind="other", path="/other", token_path="/other/token")
    both = replace(site(secret=SECRET), pages=(*site(secret=SECRET).pages, second))
    paths = ("/token", "/other/token", "/token", "/other/token")
    answers = ask(
        *((path, {}) for path in paths),
        what=both,
        method="POST",
        bodies=[given(SECRET), given(SECRET), given("another"), given("another")],
    )
    assert [status for status, _, _ in answers] == [200, 403, 403, 200]
    assert json.loads(answers[3][2])["token"] == "other"
    assert ask(("/other", {}), what=both)[0][2] == ask(("/", {}), what=both)[0][2]


LOCAL = "ws://127.0.0.1:7880"


@pytest.mark.parametrize(
    ("asked", "urls"),
    (
        ("localhost", [LOCAL, ROOM]),
        ("box.lan:8080", ["ws://box.lan:7880", ROOM]),
        ("192.0.2.7:8080", ["ws://192.0.2.7:7880", ROOM]),
        ("[fd00::7]:8080", ["ws://[fd00::7]:7880", ROOM]),
    ),
)
def test_a_browser_elsewhere_gets_addresses_that_lead_to_the_device(asked: str, urls: list[str]) -> None:
    two = site(urls=(LOCAL, ROOM))
    (_, headers, _), (_, _, text) = ask(("/", {"Host": asked}), ("/token", {"Host": asked}), host="0.0.0.0", what=two)
    answer = json.loads(text)
    assert (answer["urls"], answer["url"]) == (urls, urls[0])
    assert answer["rewritten"] == [url for url in urls if url not in (LOCAL, ROOM)]
    allowed = directives(headers)["connect-src"]
    assert "wss://room.example:7880" in allowed
    assert ("ws:" if "[" in asked else urls[0]) in allowed


def test_a_name_of_the_device_that_others_may_not_resolve_is_tried_by_the_pages_own_name_too() -> None:
    named = site(urls=("ws://box.local:7880",))
    (_, headers, _), (_, _, text) = ask(
        ("/", {"Host": "192.0.2.7"}), ("/token", {"Host": "192.0.2.7"}), host="0.0.0.0", what=named
    )
    assert json.loads(text)["urls"] == ["ws://box.local:7880", "ws://192.0.2.7:7880"]
    assert {"ws://box.local:7880", "ws://192.0.2.7:7880"} <= set(directives(headers)["connect-src"])


def test_a_name_that_is_not_allowed_gets_plain_words() -> None:
    ((status, headers, text),) = ask(("/", {"Host": "cam.example.org:8080"}), host="0.0.0.0")
    assert (status, headers["Content-Type"]) == (403, "text/plain; charset=utf-8")
    assert "not served under the name cam.example.org" in text
    assert "box, box.local or box.DOMAIN" in text
    assert "livekit-device viewer --allow-host cam.example.org" in text
    allowed = site(more="cam.example.org", secret=SECRET)
    assert [status for status, _, _ in ask(("/", {"Host": "cam.example.org:8080"}), what=allowed)] == [200]


def test_every_response_has_the_security_headers() -> None:
    paths = ("/", "/token", "/page/main.js", f"/vendor/{server.VENDOR_FILES[0]}", "/nothing")
    for _, headers, _ in ask(*((path, {}) for path in paths)):
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Frame-Options"] == "DENY"
        assert directives(headers)["default-src"] == ["'none'"]


def test_missing_bundle_says_what_to_do(vendor: Path) -> None:
    (vendor / server.VENDOR_FILES[1]).unlink()
    with pytest.raises(ViewerBundleMissing, match=r"livekit-client\.fm\.worker\.js.*make setup"):
        ask()


def test_a_port_in_use_raises_and_leaves_nothing_behind() -> None:
    async def main() -> None:
        async with serving(site(), host="127.0.0.1", port=0) as url:
            port = int(url.rstrip("/").rpartition(":")[2])
            with pytest.raises(OSError, match=str(port)):
                async with serving(site(), host="127.0.0.1", port=port):
                    pass
        async with serving(site(), host="127.0.0.1", port=port) as again:
            assert again == url

    asyncio.run(main())


@pytest.mark.parametrize(("host", "shown"), (("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1")))
def test_url_can_be_opened(host: str, shown: str) -> None:
    async def main() -> str:
        async with serving(site(), host=host, port=0) as url:
            return url

    assert re.fullmatch(rf"http://{re.escape(shown)}:\d+/", asyncio.run(main()))


def test_it_closes_within_a_second_with_open_connections(vendor: Path) -> None:
    (vendor / server.VENDOR_FILES[0]).write_bytes(b"x" * 50_000_000)

    async def main() -> float:
        async with serving(site(), host="127.0.0.1", port=0) as url:
            port = int(url.rstrip("/").rpartition(":")[2])
            started = b"GET /vendor/" + server.VENDOR_FILES[0].encode() + b" HTTP/1.1\r\nHost: localhost\r\n"
            idle_after_answer = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
            # Silent, in the middle of a request, not reading a long response, and keep-alive.
            writers = []
            for data in (b"", started, started + b"\r\n", idle_after_answer):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(data)
                await writer.drain()
                writers.append(writer)
            await asyncio.sleep(0.2)
            leaving = time.monotonic()
        took_s = time.monotonic() - leaving
        for writer in writers:
            writer.close()
        return took_s

    assert asyncio.run(main()) < 1
