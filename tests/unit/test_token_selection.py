"""The three token sources, systemd's credentials, and errors in them."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from device.config import loading as config_file
from device.errors import ConfigError, CredentialError, ExitCode
from device.identity import derived_identity
from device.network.probe import ProbeResult
from device.network.resolver import Resolver
from device.redaction import redacted
from device.telemetry.attributes import Attributes
from device.tokens import selection as credentials
from device.tokens.endpoint import read_headers
from device.tokens.join_token import IdentityHolder
from device.tokens.selection import ApiKey, Endpoint, TokenFile

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "zq-a-secret-of-thirty-two-characters"
_FOLDER = re.compile(r"/\S*/pytest-\d+(/popen-gw\d+)?")  # pytest's own, of any length


def token(**claims: Any) -> str:
    base = {"sub": "porch", "video": {"room": "front-door", "roomJoin": True}, "exp": int(time.time()) + 600}
    return jwt.encode(base | claims, SECRET, algorithm="HS256")


def select(
    folder: Path, *, directory: Path | None = None, room: dict[str, str] | None = None, **keys: str
) -> TokenFile | Endpoint | ApiKey:
    lines = ["[room]", 'url = "wss://room.example"']
    lines += [f"{key} = {json.dumps(value)}" for key, value in (room or {}).items()]
    lines += ["[credentials]"] + [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    path = folder / "device.toml"
    path.write_text("\n".join(lines))
    return credentials.select(config_file.load(path), attributes=Attributes(state="live"), directory=directory)


def refusal(folder: Path, *, directory: Path | None = None, room: dict[str, str] | None = None, **keys: str) -> str:
    with pytest.raises(ConfigError) as caught:
        select(folder, directory=directory, room=room, **keys)
    assert caught.value.exit_code is ExitCode.CONFIG
    assert SECRET not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def systemd(tmp_path: Path) -> Path:
    directory = tmp_path / "credentials"
    directory.mkdir()
    return directory


def test_a_ready_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"\n{token()}\n")
    token_source = select(tmp_path, token_file="token")
    assert isinstance(token_source, TokenFile)
    join_token = asyncio.run(token_source.obtain())
    assert (join_token.token, join_token.url) == ((tmp_path / "token").read_text().strip(), "wss://room.example")
    assert (join_token.grants.identity, join_token.grants.room) == ("porch", "front-door")
    assert join_token.token not in repr(join_token)
    assert join_token.token not in repr(token_source)


def test_a_ready_token_is_read_again_each_time(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(token())
    token_source = select(tmp_path, token_file="token")
    path.write_text(token(sub="porch-2"))
    assert asyncio.run(token_source.obtain()).grants.identity == "porch-2"
    path.unlink()
    with pytest.raises(CredentialError, match="cannot be read: No such file") as caught:
        asyncio.run(token_source.obtain())
    assert caught.value.retry
    path.write_text(token())
    assert asyncio.run(token_source.obtain()).grants.identity == "porch"


def test_a_ready_token_cannot_list_participants_and_uses_the_probed_server(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(token())
    token_source = select(tmp_path, token_file="token")

    async def main() -> None:
        seen, resolver = ProbeResult(url="wss://other.example", address="192.0.2.1", server_time_s=None), Resolver()
        assert await token_source.identity_holder(seen, resolver) is IdentityHolder.UNKNOWN
        assert (await token_source.obtain(seen, resolver)).url == "wss://other.example"

    asyncio.run(main())


def test_a_key_and_its_secret(tmp_path: Path) -> None:
    token_source = select(tmp_path, room={"name": "front-door"}, api_key="k", api_secret=SECRET)
    assert isinstance(token_source, ApiKey)
    assert token_source._pair() == ("k", SECRET)
    assert SECRET not in repr(token_source)


def test_a_key_with_its_secret_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    token_source = select(tmp_path, room={"name": "front-door"}, api_key="k", api_secret_file="secret")
    assert isinstance(token_source, ApiKey)
    assert token_source._pair() == ("k", SECRET)


def test_an_endpoint(tmp_path: Path) -> None:
    (tmp_path / "headers").write_text("Authorization: Bearer x\n")
    token_source = select(tmp_path, endpoint="https://h/token", endpoint_headers_file="headers")
    assert isinstance(token_source, Endpoint)
    assert (token_source.url, token_source.headers_file) == ("https://h/token", tmp_path / "headers")


def test_no_token_source_is_an_error_that_names_the_three(tmp_path: Path, systemd: Path) -> None:
    for directory in (None, systemd, tmp_path / "none"):
        text = refusal(tmp_path, directory=directory)
        for key in ("token_file", "endpoint", "api_key"):
            assert key in text


def test_a_token_from_systemd(tmp_path: Path, systemd: Path) -> None:
    (systemd / "token").write_text(token())
    token_source = select(tmp_path, directory=systemd)
    assert isinstance(token_source, TokenFile)
    assert token_source.path == systemd / "token"


def test_key_and_secret_from_systemd(tmp_path: Path, systemd: Path) -> None:
    (systemd / "api_key").write_text("k\n")
    (systemd / "api_secret").write_text(f"{SECRET}\n")
    token_source = select(tmp_path, directory=systemd, room={"name": "front-door"})
    assert isinstance(token_source, ApiKey)
    assert token_source._pair() == ("k", SECRET)


def test_only_the_secret_from_systemd(tmp_path: Path, systemd: Path) -> None:
    (systemd / "api_secret").write_text(SECRET)
    token_source = select(tmp_path, directory=systemd, room={"name": "front-door"}, api_key="k")
    assert isinstance(token_source, ApiKey)
    assert token_source._pair() == ("k", SECRET)


def test_the_headers_of_an_endpoint_from_systemd(tmp_path: Path, systemd: Path) -> None:
    (systemd / "endpoint_headers").write_text("X-Key: x\n")
    token_source = select(tmp_path, directory=systemd, endpoint="https://h/token")
    assert isinstance(token_source, Endpoint)
    assert token_source.headers_file == systemd / "endpoint_headers"


def test_the_configuration_has_priority_over_systemd(tmp_path: Path, systemd: Path) -> None:
    for name in ("token", "api_key", "api_secret"):
        (systemd / name).write_text(token() if name == "token" else "from-systemd-" * 3)
    (systemd / "endpoint_headers").write_text("X-Key: x\n")
    (tmp_path / "token").write_text(token(sub="of-the-file"))
    token_source: object = select(tmp_path, directory=systemd, token_file="token")
    assert isinstance(token_source, TokenFile)
    assert token_source.path == tmp_path / "token"
    token_source = select(tmp_path, directory=systemd, room={"name": "r"}, api_key="k", api_secret=SECRET)
    assert isinstance(token_source, ApiKey)
    assert token_source._pair() == ("k", SECRET)
    assert isinstance(select(tmp_path, directory=systemd, endpoint="https://h/"), Endpoint)


def test_several_token_sources_from_systemd_are_an_error(tmp_path: Path, systemd: Path) -> None:
    (systemd / "token").write_text(token())
    (systemd / "api_key").write_text("k")
    assert "token and api_key are both" in refusal(tmp_path, directory=systemd)


def failure(token_source: TokenFile | Endpoint | ApiKey) -> str:
    """Return the error of a join attempt without a usable token; the next join tries again."""
    with pytest.raises(CredentialError) as caught:
        asyncio.run(token_source.obtain())
    assert caught.value.retry
    assert SECRET not in str(caught.value)
    assert len(_FOLDER.sub("/tmp", str(caught.value))) < 300
    return str(caught.value)


NOT_TOKENS: tuple[tuple[bytes | None, str], ...] = (
    (None, "cannot be read: No such file or directory"),
    (b"", "is empty"),
    (b" \n\n", "is empty"),
    (b"\xef\xbb\xbf\r\n", "is empty"),
    (b"\x00\xff\xfe\x80" * 9, "bytes that are not ASCII"),
    ("a.b.c".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
    (SECRET.encode(), "is not a LiveKit access token"),
    (b"\0\1\2\3", "is not a LiveKit access token"),
    (b"a.b.c", "is not a LiveKit access token"),
    (b"x" * 200_000, "is not a LiveKit access token"),
    (b"LIVEKIT_TOKEN=a.b.c", "has LIVEKIT_TOKEN=...; allowed: the value alone"),
    (b"'a.b.c'", "in quotes"),
    (b"a.b.c d.e.f", "more than one word"),
)


@pytest.mark.parametrize(("content", "text"), NOT_TOKENS)
def test_an_unusable_token_file_is_an_error_until_it_is_written(
    tmp_path: Path, content: bytes | None, text: str
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    token_source = select(tmp_path, token_file="token")
    message = failure(token_source)
    assert str(path) in message
    assert text in message
    path.write_text(token())
    assert asyncio.run(token_source.obtain()).grants.identity == "porch"


def test_a_folder_as_token_file(tmp_path: Path) -> None:
    (tmp_path / "token").mkdir()
    assert "cannot be read: Is a directory" in failure(select(tmp_path, token_file="token"))


@pytest.mark.parametrize("wrapped", ("\ufeff{}", "{}\r\n", "\n  {}  \n"))
def test_white_space_around_a_token_or_a_secret_is_removed(tmp_path: Path, wrapped: str) -> None:
    (tmp_path / "token").write_text(wrapped.format(token()))
    assert asyncio.run(select(tmp_path, token_file="token").obtain()).grants.identity == "porch"
    (tmp_path / "secret").write_text(wrapped.format(SECRET))
    token_source = select(tmp_path, room={"name": "r"}, api_key="k", api_secret_file="secret")
    assert isinstance(token_source, ApiKey)
    assert token_source._pair() == ("k", SECRET)
    (tmp_path / "headers").write_text(wrapped.format("X-Key: x"))
    assert read_headers(tmp_path / "headers") == {"X-Key": "x"}


@pytest.mark.parametrize(
    ("content", "text"),
    (
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b"\xff\xfe\x80", "bytes that are not ASCII"),
        (f"LIVEKIT_API_SECRET={SECRET}".encode(), "has LIVEKIT_API_SECRET=..."),
        (f'api_secret = "{SECRET}"'.encode(), "has api_secret=..."),
        (f'"{SECRET}"'.encode(), "in quotes"),
        (f"{SECRET} {SECRET}".encode(), "more than one word"),
    ),
)
def test_an_unusable_secret_file_is_an_error_until_it_is_written(
    tmp_path: Path, content: bytes | None, text: str
) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    token_source = select(tmp_path, room={"name": "r"}, api_key="k", api_secret_file="secret")
    message = failure(token_source)
    assert str(tmp_path / "secret") in message
    assert text in message
    (tmp_path / "secret").write_text(SECRET)
    assert asyncio.run(token_source.obtain()).grants.identity == derived_identity()


@pytest.mark.parametrize(
    ("content", "line"),
    ((b"no header\n", 1), (b"# fine\n\nA: b\nBad Name: x\n", 4), (b"A: b\n: x\n", 2), (b"A: b\x07\n", 1)),
)
def test_an_invalid_headers_file_is_an_error_with_its_line(tmp_path: Path, content: bytes, line: int) -> None:
    (tmp_path / "headers").write_bytes(content)
    text = failure(select(tmp_path, endpoint="http://127.0.0.1:1/", endpoint_headers_file="headers"))
    assert f"{tmp_path / 'headers'}:{line}: is not a header" in text


def test_a_headers_file_that_is_binary_or_missing(tmp_path: Path) -> None:
    (tmp_path / "headers").write_bytes(b"\xff\x80")
    token_source = select(tmp_path, endpoint="http://127.0.0.1:1/", endpoint_headers_file="headers")
    assert "bytes that are not ASCII" in failure(token_source)
    (tmp_path / "headers").unlink()
    assert "No such file" in failure(token_source)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that every user may enter; pytest's own folders are closed."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_secret_in_a_closed_folder_is_no_warning(open_folder: Path) -> None:
    secret = open_folder / "credentials" / "secret"
    secret.parent.mkdir(mode=0o700)
    secret.write_text(SECRET)
    secret.chmod(0o644)
    token_source = select(open_folder, room={"name": "r"}, api_key="k", api_secret_file=str(secret))
    assert credentials.warnings(token_source) == []


@pytest.mark.parametrize(("mode", "warned"), ((0o600, False), (0o640, False), (0o644, True), (0o604, True)))
def test_secrets_that_every_user_may_read_are_a_warning(open_folder: Path, mode: int, *, warned: bool) -> None:
    tmp_path = open_folder
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secret").chmod(mode)
    token_source = select(tmp_path, room={"name": "r"}, api_key="k", api_secret_file="secret")
    found = credentials.warnings(token_source)
    assert bool(found) is warned
    for each in found:
        assert each.place == str(tmp_path / "secret")
        assert f"mode {mode:04o}" in each.message
    path = tmp_path / "device.toml"
    select(tmp_path, room={"name": "r"}, api_key="k", api_secret=SECRET)
    path.chmod(mode)
    inline = config_file.loaded(path).warnings
    assert bool(inline) is warned
    assert not [each for each in inline if SECRET in str(each)]


@pytest.mark.parametrize(
    ("key", "ours", "theirs"), (("name", "back-door", "front-door"), ("identity", "garage", "porch"))
)
def test_a_token_that_contradicts_the_file_shows_both(tmp_path: Path, key: str, ours: str, theirs: str) -> None:
    (tmp_path / "token").write_text(token())
    text = refusal(tmp_path, token_file="token", room={key: ours})
    assert f"room.{key}" in text
    assert repr(ours) in text
    assert repr(theirs) in text
    assert (tmp_path / "token").read_text() not in text


def test_a_token_that_agrees_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(token())
    join_token = asyncio.run(
        select(tmp_path, token_file="token", room={"name": "front-door", "identity": "porch"}).obtain()
    )
    assert join_token.grants.identity == "porch"


def test_a_key_needs_a_secret_and_a_room(tmp_path: Path) -> None:
    assert "api_key is set without its secret" in refusal(tmp_path, room={"name": "r"}, api_key="k")
    text = refusal(tmp_path, api_key="k", api_secret=SECRET)
    assert text.startswith("room.name: is required")


def test_a_secret_without_a_key_is_an_error(tmp_path: Path) -> None:
    assert "api_key" in refusal(tmp_path, room={"name": "r"}, api_secret=SECRET)


def test_a_token_in_place_of_its_file_is_not_printed(tmp_path: Path) -> None:
    """A token that is configured in place of its file's name does not appear in the journal."""
    pasted = token()
    message = redacted(failure(select(tmp_path, token_file=pasted)))
    for part in pasted.split("."):
        assert part not in message


def test_a_minted_token_has_the_grants_needed_and_no_more(tmp_path: Path) -> None:
    token_source = select(
        tmp_path, room={"name": "front-door", "display_name": "Porch"}, api_key="k", api_secret=SECRET
    )
    before = int(time.time())
    join_token = asyncio.run(token_source.obtain())
    claims = jwt.decode(join_token.token, SECRET, algorithms=["HS256"])
    assert claims["video"] == {
        "roomJoin": True,
        "room": "front-door",
        "canPublish": True,
        "canPublishSources": ["camera", "microphone"],
        "canSubscribe": False,
        "canPublishData": False,
        "canUpdateOwnMetadata": True,
    }
    assert (claims["iss"], claims["sub"], claims["name"]) == ("k", derived_identity(), "Porch")
    assert claims["attributes"] == {"device.state": "live"}
    assert before + 600 <= claims["exp"] <= time.time() + 601
    assert set(claims) <= {
        "iss",
        "sub",
        "name",
        "attributes",
        "exp",
        "nbf",
        "iat",
        "video",
        "kind",
        "metadata",
        "sha256",
    }
    assert join_token.grants.missing_for(("camera", "microphone")) == []


def test_each_minted_token_is_fresh_and_has_the_current_state(tmp_path: Path) -> None:
    token_source = select(tmp_path, room={"name": "r", "identity": "porch"}, api_key="k", api_secret=SECRET)
    token_source.wanted.attributes.set(state="recovering")
    claims = jwt.decode(asyncio.run(token_source.obtain()).token, SECRET, algorithms=["HS256"])
    assert (claims["sub"], claims["attributes"]) == ("porch", {"device.state": "recovering"})


def test_a_viewers_token_may_subscribe_and_send_data_but_not_publish(tmp_path: Path) -> None:
    token_source = select(tmp_path, room={"name": "front-door"}, api_key="k", api_secret=SECRET)
    assert isinstance(token_source, ApiKey)
    claims = [jwt.decode(token_source.viewer_token(), SECRET, algorithms=["HS256"]) for _ in range(2)]
    assert claims[0]["video"] == {
        "roomJoin": True,
        "room": "front-door",
        "canPublish": False,
        "canSubscribe": True,
        "canPublishData": True,
        "canUpdateOwnMetadata": False,
    }
    assert claims[0]["sub"].startswith("viewer-")
    assert claims[0]["sub"] != claims[1]["sub"]
