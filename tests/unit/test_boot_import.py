"""A file on the boot partition becomes the configuration: the mistakes in such files, with real files."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from device.boot import importer, source
from device.boot.content import ALLOWED, REFUSED
from device.config import loading as config_file
from device.config.schema import Config
from device.config.writing import SECRETS
from tests.support.card import GOOD, SECRET, Card

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
ROOM = '[room]\nurl = "wss://room.example"\nname = "front-door"\n'
ENDPOINT = 'endpoint = "https://tokens.example/"'
OLD = {"device.toml": b'[room]\nurl = "wss://old.example"\n', "credentials/token": b"old"}


def publisher_token(*, room: str) -> str:
    claims = {"iss": "APIk3y", "sub": "cam", "exp": 4_000_000_000, "video": {"roomJoin": True, "room": room}}
    return jwt.encode(claims, SECRET, algorithm="HS256")


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return Card.of(tmp_path)


def settled(card: Card) -> None:
    """Give the device an older configuration."""
    (card.etc / "credentials").mkdir(parents=True)
    for name, text in OLD.items():
        (card.etc / name).write_bytes(text)


def test_a_device_without_a_file_is_left_alone(card: Card, capsys: pytest.CaptureFixture[str]) -> None:
    assert card.run() == 0
    assert not card.etc.exists()
    assert sorted(path.name for path in card.firmware.iterdir()) == ["config.txt"]
    assert capsys.readouterr() == ("", "")


def test_configuration_and_secrets_are_parted_and_the_file_is_gone(
    card: Card, capsys: pytest.CaptureFixture[str]
) -> None:
    card.put()
    before = os.umask(0o077)
    try:
        assert card.run() == 0
    finally:
        os.umask(before)
    config = config_file.load(card.etc / "device.toml")
    assert (config.room.name, config.camera.fps, config.credentials.api_key) == ("front-door", 15, "")
    state = card.state()
    assert {name: state[name] for name in state if name != "device.toml"} == {
        "credentials/api_key": b"APIk3y\n",
        "credentials/api_secret": f"{SECRET}\n".encode(),
    }
    assert SECRET.encode() not in state["device.toml"]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (card.etc, *card.etc.rglob("*"))}
    assert modes == {
        card.etc.name: 0o755,
        "device.toml": 0o644,
        "credentials": 0o700,
        "api_key": 0o600,
        "api_secret": 0o600,
    }
    assert sorted(path.name for path in card.firmware.iterdir()) == ["config.txt", "livekit-device.log"]
    assert "was imported into" in card.log()
    assert SECRET not in card.log() + "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "name",
    (
        "livekit-device.toml",
        "livekit-device.toml.txt",
        "LIVEKIT-DEVICE.TOML",
        "LiveKit-Device.Toml.TXT",
        "livekit-device.TOML.txt",
    ),
)
def test_its_name_may_be_in_any_letters_and_end_with_txt(card: Card, name: str) -> None:
    path = card.put(name=name)
    assert card.run() == 0
    assert not path.exists()
    assert (card.etc / "device.toml").exists()
    assert name in card.log()


@pytest.mark.parametrize(
    "name", ("livekit-device.toml.bak", "._livekit-device.toml", "livekit-device.toml~", "device.toml")
)
def test_other_names_are_others_files(card: Card, name: str) -> None:
    path = card.put(name=name)
    assert card.run() == 0
    assert path.read_text() == GOOD
    assert not card.etc.exists()


@pytest.mark.parametrize(
    "written",
    (
        GOOD.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + GOOD.encode(),
        b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode(),
    ),
    ids=("CRLF", "BOM", "both"),
)
def test_what_windows_does_to_text_is_no_error(card: Card, written: bytes) -> None:
    card.put(written)
    assert card.run() == 0
    assert config_file.load(card.etc / "device.toml").camera.fps == 15
    assert card.state()["credentials/api_secret"] == f"{SECRET}\n".encode()


BAD: dict[str, tuple[str | bytes, str]] = {
    "typographic quotes": (
        GOOD.replace('"front-door"', "\u201cfront-door\u201d"),
        "line 4, column 8 is a typographic quote (\u201c); allowed are straight ones",
    ),
    "a typographic quote at the end": (
        GOOD.replace('"front-door"', '"front-door\u201d'),
        "line 4, column 19 is a typographic quote (\u201d)",
    ),
    "typographic quotes in the last line": ("[room]\nurl = \u201ewss://room.example\u201c", "line 2, column 7"),
    "a typographic secret": (GOOD.replace(f'"{SECRET}"', f"\u201c{SECRET}\u201d"), "line 8, column 14"),
    "Latin-1": (
        GOOD.replace("front-door", "Eingangst\u00fcr").encode("latin-1"),
        "is not UTF-8 text (byte 108, in line 4)",
    ),
    "UTF-16": (GOOD.encode("utf-16"), "is UTF-16 text"),
    "no TOML": (f"api_secret = {SECRET}\n", "is not valid TOML"),
    "no TOML, a secret alone": (f"[credentials]\n{SECRET}\n", "is not valid TOML"),
    "nested": ("a = " + "[" * 5000, "is nested too deeply"),
    "empty": ("", "is empty"),
    "too large": (GOOD + "#" * 65536, "is too large; allowed: 64 KiB or less"),
    "an unknown key": (GOOD.replace("fps", "fsp"), "camera.fsp: there is no such key; did you mean fps?"),
    "an unknown table": (f"{GOOD}[camra]\nfps = 1\n", "camra: there is no such table; did you mean camera?"),
    "a key without a table": (f"fps = 3\n{GOOD}", "fps: there is no such table"),
    "a wrong value": (GOOD.replace("15", "0"), "camera.fps: is too small; allowed: 1 or more"),
    "no server": ('[room]\nname = "front-door"\n', "room.url: is required"),
    "only a room": (ROOM, "credentials: no token source is set, and the device has none"),
    "a key without its secret": (f'{ROOM}[credentials]\napi_key = "k"\n', "api_key is set without api_secret"),
    "a secret without its key": (
        f'{ROOM}[credentials]\napi_secret = "{SECRET}"\n',
        "api_secret is set without api_key",
    ),
    "headers without an endpoint": (
        f'{ROOM}[credentials]\nendpoint_headers = {{ Authorization = "Bearer {SECRET}" }}\n',
        "endpoint_headers is set without endpoint",
    ),
    "two token sources": (
        f'{ROOM}[credentials]\ntoken = "{SECRET}"\nendpoint = "https://h/"\n',
        "token and endpoint are both set; allowed is exactly one of token, endpoint, api_key",
    ),
    "a secret of two words": (
        f'{ROOM}[credentials]\napi_key = "k"\napi_secret = "{SECRET} {SECRET}"\n',
        "credentials.api_secret: has more than one word",
    ),
    "a secret with its name": (
        f'{ROOM}[credentials]\napi_key = "k"\napi_secret = "api_secret={SECRET}"\n',
        "credentials.api_secret: has api_secret=[redacted]; allowed: the value alone",
    ),
    "a secret that is a number": (
        f'{ROOM}[credentials]\napi_key = "k"\napi_secret = 12345678\n',
        "must be text in quotes",
    ),
    "a list of headers": (
        f'{ROOM}[credentials]\nendpoint = "https://h/"\nendpoint_headers = ["X-Auth: {SECRET}"]\n',
        "credentials.endpoint_headers: must be a table of headers",
    ),
    "a broken header": (
        f'{ROOM}[credentials]\nendpoint = "https://h/"\nendpoint_headers = {{ "X Auth" = "{SECRET}" }}\n',
        "credentials.endpoint_headers:1: is not a header",
    ),
    "no token": (f'{ROOM}[credentials]\ntoken = "{SECRET}"\n', "credentials.token: "),
    "a token for another room": (
        f'{ROOM}[credentials]\ntoken = "{publisher_token(room="elsewhere")}"\n',
        "credentials: credentials.token: ",
    ),
    "a file with the secret": (
        f'{ROOM}[credentials]\napi_key = "k"\napi_secret_file = "/etc/shadow"\n',
        "credentials.api_secret_file: is not allowed on the boot partition; put the content into api_secret",
    ),
    "a file with the token": (
        f'{ROOM}[credentials]\ntoken_file = "/etc/shadow"\n',
        "credentials.token_file: is not allowed on the boot partition; put the content into token",
    ),
    "a file with headers": (
        f'{ROOM}[credentials]\nendpoint = "https://h/"\nendpoint_headers_file = "/etc/shadow"\n',
        "credentials.endpoint_headers_file: is not allowed on the boot partition",
    ),
    "a relative path": (
        GOOD.replace("fps = 15", 'source = "file"\npath = "film.mp4"'),
        "camera.path: must begin with / on the boot partition",
    ),
    "a relative path of a sound": (
        f'{GOOD}[microphone]\nsource = "file"\npath = "film.mp4"\n',
        "microphone.path: must begin with / on the boot partition",
    ),
    "credentials as a text": (f'credentials = "{SECRET}"\n{ROOM}', "credentials: must be a table"),
    **{
        f"the table {name}": (
            f'{GOOD}[{name}]\nrun = "reboot {SECRET}"\n',
            f"{name}: is not allowed on the boot partition",
        )
        for name in REFUSED
    },
}


@pytest.mark.parametrize("mistake", BAD)
def test_a_mistake_is_named_and_nothing_changes(card: Card, mistake: str, capsys: pytest.CaptureFixture[str]) -> None:
    written, words = BAD[mistake]
    path = card.put(written)
    before = path.read_bytes()
    if mistake != "only a room":
        settled(card)
    old = card.state() if card.etc.exists() else {}
    assert card.run() in (1, 78)
    lines = card.log().splitlines()
    assert lines[0] == "livekit-device.toml was not imported; the configuration of the device is unchanged."
    assert any(words in line for line in lines), lines
    assert all(line.startswith("- livekit-device.toml: ") for line in lines[1:])
    assert path.read_bytes() == before
    assert (card.state() if card.etc.exists() else {}) == old
    printed = "".join(capsys.readouterr())
    assert printed == card.log()
    assert SECRET not in printed
    assert "Traceback" not in printed


def test_all_mistakes_are_named_at_once(card: Card) -> None:
    card.put(f'{GOOD.replace("15", "0")}[hooks]\nrun = "x"\n[microphone]\ngain_db = 100\n')
    assert card.run() == 78
    assert len(card.log().splitlines()) == 4


def test_several_files_are_an_error_that_names_all(card: Card) -> None:
    first, second = card.put(), card.put(name="Livekit-Device.TOML.txt")
    assert card.run() == 78
    assert f"- there are {second} and {first}; keep only one of them" in card.log()
    assert first.read_text() == second.read_text() == GOOD
    assert not card.etc.exists()


def folder(path: Path) -> None:
    path.mkdir()


def link(path: Path) -> None:
    (path.parent / "elsewhere").write_text(GOOD)
    path.symlink_to(path.parent / "elsewhere")


def pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "words"), ((folder, "is a folder"), (link, "is a symbolic link"), (pipe, "is a pipe"))
)
def test_what_is_no_file_is_refused(card: Card, make: Callable[[Path], None], words: str) -> None:
    path = card.firmware / "livekit-device.toml"
    make(path)
    assert card.run() == 1
    assert f"- livekit-device.toml: {words}; allowed is a file" in card.log()
    assert os.path.lexists(path)
    assert not card.etc.exists()


def test_a_log_that_is_a_link_is_not_followed(card: Card, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "precious").write_text("precious")
    (card.firmware / "livekit-device.log").symlink_to(tmp_path / "precious")
    card.put(GOOD.replace("15", "0"))
    assert card.run() == 78
    assert (tmp_path / "precious").read_text() == "precious"
    assert "camera.fps" in capsys.readouterr().out


def test_a_log_that_cannot_be_written_keeps_no_secret_on_the_card(
    card: Card, capsys: pytest.CaptureFixture[str]
) -> None:
    (card.firmware / "livekit-device.log").mkdir()
    path = card.put()
    assert card.run() == 0
    assert not path.exists()
    assert "livekit-device.log: cannot be written: Is a directory" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("table", "expected"),
    (
        (f'token = "{publisher_token(room="front-door")}"', ["token"]),
        (ENDPOINT, []),
        (
            f'{ENDPOINT}\nendpoint_headers = {{ Authorization = "Bearer {SECRET}", X-Fleet = "7" }}',
            ["endpoint_headers"],
        ),
        (f'api_key = " k "\napi_secret = "{SECRET}"\ntoken = ""', ["api_key", "api_secret"]),
    ),
)
def test_each_way_to_a_token_replaces_all_credentials(card: Card, table: str, expected: list[str]) -> None:
    settled(card)
    for name in SECRETS:
        (card.etc / "credentials" / name).write_text("old")
    card.put(f"{ROOM}[credentials]\n{table}\n")
    assert card.run() == 0, card.log()
    assert sorted(path.name for path in (card.etc / "credentials").iterdir()) == expected
    assert SECRET.encode() not in card.state()["device.toml"]
    if expected == ["endpoint_headers"]:
        lines = card.state()["credentials/endpoint_headers"].decode().splitlines()
        assert lines == [f"Authorization: Bearer {SECRET}", "X-Fleet: 7"]


def test_a_file_without_credentials_keeps_those_that_are_there(card: Card) -> None:
    card.put()
    assert card.run() == 0
    before = card.state()
    card.put(ROOM.replace("front-door", "back-door"))
    assert card.run() == 0
    after = card.state()
    assert after["credentials/api_secret"] == before["credentials/api_secret"]
    assert tomllib.loads(after["device.toml"].decode())["room"]["name"] == "back-door"
    assert "the credentials are unchanged" in card.log()


def test_what_an_interrupted_erasing_has_left_is_removed(card: Card) -> None:
    settled(card)
    path = card.put(b"\0" * 300 + GOOD.encode()[300:])
    assert card.run() == 0
    assert not path.exists()
    assert "contained only zeros, and was removed" in card.log()
    assert card.state() == OLD


def test_the_file_is_overwritten_and_synced_before_it_goes(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    path = card.put()
    size, unlink, done = path.stat().st_size, os.unlink, []

    def looked_at(gone: Path, **more: Any) -> None:
        if gone == path:
            done.append(path.read_bytes())
        unlink(gone, **more)

    monkeypatch.setattr(os, "unlink", looked_at)
    assert card.run() == 0
    assert done == [bytes(size)]


def test_a_success_replaces_the_log_of_a_failure(card: Card) -> None:
    card.put(GOOD.replace("15", "0"))
    assert card.run() == 78
    assert "camera.fps" in card.log()
    card.put()
    assert card.run() == 0
    assert "camera.fps" not in card.log()
    assert "was imported" in card.log()


def test_the_same_failure_is_written_once(card: Card) -> None:
    """Each start fails with the same result, so nothing is written or remounted again."""
    card.put(GOOD.replace("15", "0"))
    assert card.run() == 78
    log = card.firmware / "livekit-device.log"
    os.utime(log, (1, 1))
    assert card.run() == 78
    assert log.stat().st_mtime == 1


def test_where_etc_is_volatile_the_file_stays_and_is_imported_each_time(card: Card) -> None:
    card.mountinfo.write_text(f"{card.mountinfo.read_text()}30 27 0:27 / {card.etc} rw - tmpfs tmpfs rw\n")
    path = card.put()
    for _ in range(2):
        assert card.run() == 0
        assert path.read_text() == GOOD
        assert "credentials/api_secret" in card.state()
    assert "is lost at a restart (tmpfs). It is imported at each start" in card.log()
    assert SECRET not in card.log()


def test_an_error_that_nobody_foresaw_is_in_the_log_without_its_text(
    card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise LookupError(SECRET)

    monkeypatch.setattr(importer, "demand_usable", fails)
    card.put()
    assert card.run() == 1
    assert card.log().endswith("- an internal error (LookupError); please report it\n")


def test_an_error_after_the_commit_is_reported_and_finished_by_the_next_run(
    card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(card)
    path, replace = card.put(), os.replace

    def fails(old: Path, new: Path) -> None:
        if new.name == "api_secret":
            raise OSError(5, "Input/output error", str(new))
        replace(old, new)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fails)
        assert card.run() == 1
    assert card.log().startswith("livekit-device.toml was imported in part; the next start completes the import.\n")
    assert path.read_text() == GOOD
    assert card.run() == 0
    assert {"device.toml", "credentials/api_key", "credentials/api_secret"} == set(card.state())


@pytest.mark.parametrize("with_a_file", (True, False))
def test_an_interrupted_change_that_cannot_be_finished_is_named(
    card: Card, capsys: pytest.CaptureFixture[str], *, with_a_file: bool
) -> None:
    settled(card)
    (card.etc / ".transaction").mkdir()
    (card.etc / ".transaction/journal").write_text("{")
    if with_a_file:
        card.put()
    assert card.run() == 1
    words = "Nothing was imported: an interrupted change cannot be finished: "
    assert capsys.readouterr().out.startswith(words)
    assert card.log().startswith(words) is with_a_file


def test_a_file_that_cannot_be_removed_is_named(
    card: Card, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = card.put()
    unlink = os.unlink

    def fails(gone: Path, **more: Any) -> None:
        if gone == path:
            raise OSError(5, "Input/output error")
        unlink(gone, **more)

    monkeypatch.setattr(os, "unlink", fails)
    assert card.run() == 1
    for text in (card.log(), capsys.readouterr().out):
        assert "was imported into" in text
        assert "cannot be removed: Input/output error; remove it, because it may contain secrets" in text
        assert SECRET not in text


def test_each_table_of_the_configuration_is_allowed_or_refused() -> None:
    """A new table has to be decided on: the holder of the card may set it, or not."""
    assert set(Config.model_fields) <= {*ALLOWED, *REFUSED}
    assert not {*ALLOWED} & {*REFUSED}


def test_the_credentials_are_what_the_daemon_looks_for(tmp_path: Path) -> None:
    from device.tokens import selection

    assert set(SECRETS) == {selection._TOKEN, selection._API_KEY, selection._API_SECRET, selection._HEADERS}
    assert source.candidates([tmp_path / "missing"]) == []


def test_a_folder_that_is_seen_twice_counts_once(card: Card) -> None:
    path = card.put()
    twice = [card.firmware, card.firmware.parent / "firmware" / "." / "..", card.firmware]
    assert source.candidates(twice) == [path]


def test_the_command_takes_the_folder_and_the_configuration_as_parameters(card: Card) -> None:
    card.put()
    arguments = ("import-boot", "--folder", str(card.firmware), "--config", str(card.etc / "device.toml"))
    done = subprocess.run(
        (sys.executable, "-m", "device", *arguments), cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "was imported into" in done.stdout
    assert "credentials/api_secret" in card.state()
