"""The viewer's server over real sockets: responses, access checks, and shutdown."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import time
from typing import TYPE_CHECKING
from unittest.mock import ANY

import aiohttp
import pytest
from structlog.testing import capture_logs

from device.viewer import server
from device.viewer.server import Viewer, ViewerBundleMissing, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

ROOM = "wss://room.example:7880/some/path"
TOKEN = "header.payload.signature"
Answer = tuple[int, "Mapping[str, str]", str]


@pytest.fixture(autouse=True)
def vendor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the bundle, so that these tests need no npm."""
    for name in server.VENDOR_FILES:
        (tmp_path / name).write_text(f"// {name}\n")
    monkeypatch.setattr(server, "VENDOR", tmp_path)
    return tmp_path


async def fixed_token() -> str:
    return TOKEN


def ask(
    *requests: tuple[str, dict[str, str]],
    host: str = "127.0.0.1",
    room_url: str = ROOM,
    mint: Callable[[], str] = lambda: TOKEN,
    method: str = "GET",
) -> list[Answer]:
    """Serve, send the requests (path, headers) in turn, and return (status, headers, text) of each."""

    async def main() -> list[Answer]:
        answers: list[Answer] = []

        async def minting() -> str:
            return mint()

        viewer = Viewer(room_url=room_url, mint=minting)
        async with serving(viewer, host=host, port=0) as url, aiohttp.ClientSession(url) as session:
            for path, headers in requests:
                async with session.request(method, path, headers=headers) as response:
                    answers.append((response.status, response.headers.copy(), await response.text()))
        return answers

    return asyncio.run(main())


def directives(headers: Mapping[str, str]) -> dict[str, list[str]]:
    policy = headers["Content-Security-Policy"]
    return {name: values for name, *values in (each.split() for each in policy.split(";"))}


def test_page_runs_under_its_own_policy() -> None:
    ((status, headers, page),) = ask(("/", {}))
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    policy = directives(headers)
    assert policy["default-src"] == ["'none'"]
    for element in ("script", "style"):
        bodies = re.findall(rf"<{element}[^>]*>(.*?)</{element}>", page, flags=re.DOTALL)
        assert len(bodies) == 1
        digest = base64.b64encode(hashlib.sha256(bodies[0].encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy[f"{element}-src"]
        assert "'unsafe-inline'" not in policy[f"{element}-src"]
    assert not re.search(r"\s(style|on[a-z]+)=\"", page), "the policy would block inline attributes"
    assert not re.search(r"\.(innerHTML|outerHTML|insertAdjacentHTML)\b|document\.write", page)


@pytest.mark.parametrize(
    ("room_url", "reachable"),
    (
        ("ws://10.0.0.2:7880", ["ws://10.0.0.2:7880", "http://10.0.0.2:7880"]),
        ("http://10.0.0.2:7880/", ["ws://10.0.0.2:7880", "http://10.0.0.2:7880"]),
        ("wss://room.example", ["wss://room.example", "https://room.example"]),
        ("wss://user:secret@room.example:444/rtc", ["wss://room.example:444", "https://room.example:444"]),
        ("ws://[fd00::1]:7880", ["ws://[fd00::1]:7880", "http://[fd00::1]:7880"]),
        (
            "wss://mine.livekit.cloud",
            [
                *("wss://mine.livekit.cloud", "https://mine.livekit.cloud"),
                *("wss://*.livekit.cloud", "https://*.livekit.cloud"),
            ],
        ),
    ),
)
def test_page_may_reach_the_room_and_nothing_else(room_url: str, reachable: list[str]) -> None:
    ((_, headers, _),) = ask(("/", {}), room_url=room_url)
    assert directives(headers)["connect-src"] == ["'self'", *reachable]


@pytest.mark.parametrize("room_url", ("", "room.example", "ftp://room.example", "ws://", "ws:///x"))
def test_room_url_must_be_one(room_url: str) -> None:
    with pytest.raises(ValueError, match="room_url"):
        ask(room_url=room_url)


def test_each_token_is_fresh_and_not_cached() -> None:
    minted = iter(["first", "second"])
    (status, headers, first), (_, _, second) = ask(("/token", {}), ("/token", {}), mint=lambda: next(minted))
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
    assert {"event": "viewer.token_minted", "peer": "127.0.0.1", "log_level": "info"} in logs
    assert TOKEN not in str(logs)


def test_a_failing_mint_is_a_short_error() -> None:
    def mint() -> str:
        raise OSError("no key file")

    with capture_logs() as logs:
        ((status, headers, text),) = ask(("/token", {}), mint=mint)
    assert (status, text) == (503, "No token is available now.")
    assert headers["Cache-Control"] == "no-store"
    failed = {"event": "viewer.token_failed", "peer": "127.0.0.1", "error": ANY, "log_level": "warning"}
    assert failed in logs
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


@pytest.mark.parametrize(
    ("bound", "header", "allowed"),
    (
        ("127.0.0.1", "127.0.0.1:8080", True),
        ("127.0.0.1", "localhost:9000", True),
        ("127.0.0.1", "LocalHost.", True),
        ("127.0.0.1", "[::1]:8080", True),
        ("localhost", "127.0.0.1", True),
        ("127.0.0.1", "192.168.1.7", False),
        ("127.0.0.1", "evil.example", False),
        ("127.0.0.1", "cam.local", False),
        ("127.0.0.1", "cam", False),
        ("::1", "evil.example", False),
        ("localhost", "evil.example", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", "a b", False),
        ("127.0.0.1", "localhost@evil.example", False),
        ("0.0.0.0", "192.168.1.7:8080", True),
        ("0.0.0.0", "[fd00::7]", True),
        ("0.0.0.0", "cam:8080", True),
        ("0.0.0.0", "cam.local", True),
        ("0.0.0.0", "localhost", True),
        ("0.0.0.0", "evil.example", False),
        ("0.0.0.0", "", False),
        ("::", "evil.example", False),
        ("192.168.1.7", "local.evil.example", False),
        ("cam.example.org", "cam.example.org:443", True),
        ("cam.example.org", "evil.example.org", False),
    ),
)
def test_names_that_an_attacker_could_own_are_refused(bound: str, header: str, *, allowed: bool) -> None:
    assert server._host_allowed(header, bound_host=bound) is allowed


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
        "/page.html",
        "/token/",
        "/favicon.ico",
    )
    assert {status for status, _, _ in ask(*((path, {}) for path in unknown))} == {404}


def test_nothing_can_be_sent() -> None:
    answers = ask(("/", {}), ("/token", {}), method="POST")
    assert [(status, TOKEN in text) for status, _, text in answers] == [(405, False)] * 2


def test_every_response_has_the_security_headers() -> None:
    paths = ("/", "/token", f"/vendor/{server.VENDOR_FILES[0]}", "/nothing")
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
        viewer = Viewer(room_url=ROOM, mint=fixed_token)
        async with serving(viewer, host="127.0.0.1", port=0) as url:
            port = int(url.rstrip("/").rpartition(":")[2])
            with pytest.raises(OSError, match=str(port)):
                async with serving(viewer, host="127.0.0.1", port=port):
                    pass
        async with serving(viewer, host="127.0.0.1", port=port) as again:
            assert again == url

    asyncio.run(main())


@pytest.mark.parametrize(("host", "shown"), (("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1")))
def test_url_can_be_opened(host: str, shown: str) -> None:
    async def main() -> str:
        async with serving(Viewer(room_url=ROOM, mint=fixed_token), host=host, port=0) as url:
            return url

    assert re.fullmatch(rf"http://{re.escape(shown)}:\d+/", asyncio.run(main()))


def test_it_closes_within_a_second_with_open_connections(vendor: Path) -> None:
    (vendor / server.VENDOR_FILES[0]).write_bytes(b"x" * 50_000_000)

    async def main() -> float:
        async with serving(Viewer(room_url=ROOM, mint=fixed_token), host="127.0.0.1", port=0) as url:
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
