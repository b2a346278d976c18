"""The operator's page: its link, its tokens, its files, and what must agree with the schema."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import jwt
import pytest

from device import cli
from device.config import schema
from device.control import limits
from device.telemetry.attributes import Attributes
from device.tokens.join_token import TokenRequest
from device.tokens.minting import ApiKey
from device.viewer import command, command_line, operators, server
from device.viewer.passes import Passes, RoomPass
from device.viewer.server import Page
from device.viewer.token_requests import EXPIRED, WRONG_SECRET
from tests.support import page_requests
from tests.support.page_requests import ROOM, NoServer
from tests.unit.test_viewer_page import TOO_NEW

FOLDER = Path(server.__file__).parent / "operator"
FILES = sorted(FOLDER.iterdir())
CODE = [path for path in FILES if path.suffix == ".js"]
SECRET = "kq3-a-secret-of-a-link"


@pytest.fixture(autouse=True)
def vendor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in server.VENDOR_FILES:
        (tmp_path / name).write_text(f"// {name}\n")
    monkeypatch.setattr(server, "VENDOR", tmp_path)


def api_key() -> ApiKey:
    wanted = TokenRequest(
        urls=ROOM,
        room="porch",
        identity="device",
        derived_identity="device",
        display_name="",
        attributes=Attributes(),
    )
    return ApiKey(wanted=wanted, key="key", secret="zq7-a-secret-of-thirty-two-characters")


def page(identity: str = "ops-anna") -> Page:
    passes = Passes(urls=ROOM, probe=cast("Any", NoServer()), mint=lambda _at: "not this one")
    return operators.operator_page(passes, api_key(), identity, secret=SECRET)


def asked(what: Page, *requests: tuple[str, str]) -> list[tuple[int, str, str]]:
    """Serve a page, and return status, type and text of each request (path, secret of a POST)."""
    answers = page_requests.asked(what, *requests)
    return [(status, headers["Content-Type"].partition(";")[0], text) for status, headers, text in answers]


def test_the_page_and_its_files_are_served_with_its_link_only() -> None:
    found = asked(
        page(), ("/operator", ""), *((f"/operator/{path.name}", "") for path in FILES if path.suffix != ".html")
    )
    assert {status for status, _, _ in found} == {200}
    assert found[0][1] == "text/html"
    assert [status for status, _, _ in asked(page(), ("/", ""), ("/token", SECRET))] == [404, 404]

    async def minting() -> RoomPass:
        raise AssertionError

    usual = asked(Page(mint=minting), ("/operator", ""), ("/operator/main.js", ""), ("/operator-token", SECRET))
    assert [status for status, _, _ in usual] == [404, 404, 404]


def test_a_token_has_the_operators_identity_and_may_subscribe_and_send_data_only() -> None:
    ((status, _, text),) = asked(page(), ("/operator-token", SECRET))
    assert status == 200
    claims = jwt.decode(json.loads(text)["token"], options={"verify_signature": False})
    assert claims["sub"] == "ops-anna"
    assert claims["exp"] - claims["nbf"] <= 6 * 60
    assert claims["video"] == {
        "room": "porch",
        "roomJoin": True,
        "canPublish": False,
        "canSubscribe": True,
        "canPublishData": True,
        "canUpdateOwnMetadata": False,
    }


def test_a_wrong_link_and_one_that_has_expired_get_no_token() -> None:
    assert asked(page(), ("/operator-token", "x" * 22)) == [(403, "text/plain", WRONG_SECRET)]
    assert asked(replace(page(), valid_s=0.0), ("/operator-token", SECRET)) == [(403, "text/plain", EXPIRED)]


@pytest.mark.parametrize(
    ("environment", "identity"),
    (
        ({"SUDO_USER": "Anna.M"}, "ops-anna-m"),
        ({"SUDO_USER": "\x1b"}, "ops-user"),
        ({"SUDO_USER": "a" * 200}, f"ops-{'a' * 64}"),
    ),
)
def test_the_identity_is_that_of_the_user(environment: dict[str, str], identity: str) -> None:
    assert command_line.default_identity(environment) == identity


@pytest.mark.parametrize(
    ("arguments", "operator"),
    (([], None), (["--operator"], "ops-anna"), (["--operator", "ops-berta"], "ops-berta")),
)
def test_the_command_line_chooses_the_page(
    arguments: list[str], operator: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setenv("SUDO_USER", "anna")
    monkeypatch.setattr(command, "serve", lambda _config, **options: given.update(options) or 0)
    assert cli.main(["viewer", *arguments]) == 0
    assert given["operator"] == operator


@pytest.mark.parametrize("identity", ("", "a\nb", "x" * 129))
def test_an_identity_that_no_rule_can_name_is_wrong_usage(identity: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["viewer", "--operator", identity])
    assert caught.value.code == 2
    assert "is not an identity" in capsys.readouterr().err


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_files_are_short_safe_and_used(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 250
    assert path.name == "index.html" or f'/{path.name}"' in "".join(each.read_text() for each in FILES)
    assert not re.search(r"\.(innerHTML|outerHTML|insertAdjacentHTML)\b|document\.write|eval\(|\.srcdoc\b", text)
    assert not re.search(r"<(script|style)[^>]*>[^<]|\s(style|on[a-z]+)=\"", text), "the policy would block inline code"
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)
    for pattern in TOO_NEW.get(path.suffix.removeprefix("."), ()):
        assert not re.search(pattern, code, re.MULTILINE), pattern


def test_each_field_has_a_label_and_each_region_a_name() -> None:
    text = (FOLDER / "index.html").read_text()
    for found in re.finditer(r"<(input|select)\b[^>]*>", text):
        before = text[: found.start()]
        assert before.rfind("<label") > before.rfind("</label>"), found[0]
    ids = set(re.findall(r'\bid="([^"]+)"', text))
    assert set(re.findall(r'aria-labelledby="([^"]+)"', text)) <= ids
    used = {name for path in CODE for name in re.findall(r'\$\("([\w-]+)"\)', path.read_text())}
    assert used <= ids


def test_the_fields_have_the_bounds_of_the_schema() -> None:
    text = (FOLDER / "settings.js").read_text()
    tables = (schema.Camera, schema.Microphone)
    found = re.findall(r'\["(\w+)", "[^"]+", (-?\d+), (\d+), [\d.]+\]', text)
    assert [key for key, _, _ in found] == ["width", "height", "fps", "bitrate_max_bps", "bitrate_min_bps", "gain_db"]
    for key, least, most in found:
        field = next(table.model_fields[key] for table in tables if key in table.model_fields)
        bounds = [getattr(mark, name) for name in ("ge", "le") for mark in field.metadata if hasattr(mark, name)]
        assert bounds == [float(least), float(most)], key


def test_the_fields_of_a_snapshot_have_the_bounds_of_the_operation() -> None:
    text = (FOLDER / "index.html").read_text()
    for name, (least, most) in {"width": limits.WIDTHS, "quality": limits.QUALITIES}.items():
        assert f'id="picture-{name}" type="number" min="{least}" max="{most}"' in text
