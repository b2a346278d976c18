"""The viewer's page with a microphone: its tokens, its files, its link, and that the ordinary page has none of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast

import jwt
import pytest

from device import cli
from device.telemetry.attributes import Attributes
from device.tokens.join_token import TokenRequest
from device.tokens.minting import ApiKey
from device.viewer import command, server, talkers
from device.viewer.passes import Passes, RoomPass
from device.viewer.server import Page
from tests.support.page_requests import ROOM, NoServer, asked
from tests.unit.test_viewer_page import TOO_NEW

FOLDER = Path(server.__file__).parent / "talk"
FILES = sorted(FOLDER.iterdir())
SECRET = "zq7-a-secret-of-thirty-two-characters"
LINK_SECRET = "kq3-a-secret-of-a-link"
CONFIG = (
    f'[room]\nurl = "wss://room.example"\nname = "porch"\n[credentials]\napi_key = "key"\napi_secret = "{SECRET}"\n'
)
MICROPHONE_ONLY = {
    "room": "porch",
    "roomJoin": True,
    "canPublish": True,
    "canPublishSources": ["microphone"],
    "canSubscribe": True,
    "canPublishData": False,
    "canUpdateOwnMetadata": False,
}


@pytest.fixture(autouse=True)
def vendor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in server.VENDOR_FILES:
        (tmp_path / name).write_text(f"// {name}\n")
    monkeypatch.setattr(server, "VENDOR", tmp_path)


def ordinary() -> Page:
    async def mint() -> RoomPass:
        return RoomPass(token="a.b.c", urls=ROOM)

    return Page(mint=mint, secret=LINK_SECRET)


def talking(name: str = "talk-anna") -> Page:
    wanted = TokenRequest(
        urls=ROOM, room="porch", identity="device", derived_identity="device", display_name="", attributes=Attributes()
    )
    passes = Passes(urls=ROOM, probe=cast("Any", NoServer()), mint=lambda _at: "not this one")
    return talkers.with_talk(ordinary(), passes, ApiKey(wanted=wanted, key="key", secret=SECRET), name)


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def test_the_page_loads_its_addition_and_may_use_the_microphone_but_no_other_source() -> None:
    (status, headers, text), *files = asked(talking(), ("/", ""), *((f"/talk/{path.name}", "") for path in FILES))
    assert status == 200
    assert '<html data-more="talk" lang="en">' in text
    assert headers["Permissions-Policy"] == "camera=(), microphone=(self), geolocation=()"
    assert {status for status, _, _ in files} == {200}
    assert {headers["Permissions-Policy"] for _, headers, _ in files} == {"camera=(), microphone=(), geolocation=()"}


def test_the_ordinary_page_has_none_of_it() -> None:
    (_, headers, text), (missing, _, _) = asked(ordinary(), ("/", ""), ("/talk/main.js", ""))
    assert "data-more" not in text
    assert headers["Permissions-Policy"] == "camera=(), microphone=(), geolocation=()"
    assert missing == 404


def test_each_token_may_publish_a_microphone_and_nothing_else_and_has_a_new_identity() -> None:
    answers = asked(talking(), ("/token", LINK_SECRET), ("/token", LINK_SECRET), ("/token", "x" * 22))
    claims = [claims_of(json.loads(text)["token"]) for status, _, text in answers if status == 200]
    assert len(claims) == 2, "the third one has a wrong key"
    for each in claims:
        assert each["video"] == MICROPHONE_ONLY
        assert re.fullmatch(r"talk-anna-[0-9a-f]{8}", each["sub"])
        assert each["exp"] - each["nbf"] <= 6 * 60
    assert claims[0]["sub"] != claims[1]["sub"]


@pytest.mark.parametrize(
    ("arguments", "operator", "talk"),
    (
        ([], None, None),
        (["--talk"], None, "talk-anna"),
        (["--talk", "berta"], None, "berta"),
        (["--talk", "--operator"], "ops-anna", "talk-anna"),
    ),
)
def test_the_command_line_chooses_the_pages(
    arguments: list[str], operator: str | None, talk: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setenv("SUDO_USER", "anna")
    monkeypatch.setattr(command, "serve", lambda _config, **options: given.update(options) or 0)
    assert cli.main(["viewer", *arguments]) == 0
    assert (given["operator"], given["talk"]) == (operator, talk)


@pytest.mark.parametrize("name", ("", "a\nb", "x" * 120, "*", "a?", "[ab]"))
@pytest.mark.parametrize("name_of_command", ("viewer", "viewer-token"))
def test_a_name_that_begins_no_identity_is_wrong_usage(
    name: str, name_of_command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([name_of_command, "--talk", name])
    assert caught.value.code == 2
    assert "is not a name; allowed: 1 to 119 characters without * ? [" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", ((), ("--talk", "intercom")))
def test_viewer_token_prints_one_with_a_microphone_only_if_that_is_wanted(
    arguments: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "device.toml"
    path.write_text(CONFIG)
    assert cli.main(["viewer-token", "--config", str(path), "--ttl", "30m", *arguments]) == 0
    talks = bool(arguments)
    token, url = capsys.readouterr().out.splitlines()
    claims = claims_of(token)
    assert url == "wss://room.example"
    assert claims["exp"] - claims["nbf"] == 31 * 60
    assert (claims["video"] == MICROPHONE_ONLY) is talks
    assert claims["video"]["canPublish"] is talks
    assert claims["sub"].startswith("intercom-" if talks else "viewer-")


def test_the_remark_names_the_identities_that_a_device_must_allow() -> None:
    assert "[speaker] allow" in talkers.remark("talk-anna")
    assert '"talk-anna-*"' in talkers.remark("talk-anna")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_files_are_short_safe_and_used(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 250
    assert path.name == "main.js" or re.search(
        rf"/{re.escape(path.name)}\"", "".join(each.read_text() for each in FILES)
    )
    assert not re.search(r"\.(innerHTML|outerHTML|insertAdjacentHTML)\b|document\.write|eval\(|\.srcdoc\b", text)
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)
    for pattern in TOO_NEW.get(path.suffix.removeprefix("."), ()):
        assert not re.search(pattern, code, re.MULTILINE), pattern
