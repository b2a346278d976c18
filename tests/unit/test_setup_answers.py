"""What follows from answers: keys, files with secrets, choices, the viewer's URL, and its QR code."""

from __future__ import annotations

import argparse
import io
import time
import tomllib
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest
import segno

from device.errors import ConfigError
from device.setup import listing, options, present
from device.setup.answers import Answers, KeyPair, ReadyToken, Source, TokenEndpoint, changes, secret_files
from device.setup.draft import loaded
from device.setup.how_to_watch import show_viewer_url
from device.setup.present import Present
from device.setup.terminal import InputEndedError, Terminal
from device.setup.toml_edit import edited
from device.setup.viewer_url import viewer_url
from device.viewer import qr
from device.viewer.link import own_address

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "zq-a-secret-of-thirty-two-characters"


def test_only_what_was_answered_is_set() -> None:
    assert changes(Answers(), {"room": {"url": "ws://h"}}) == {}
    assert changes(Answers(url="wss://a", room="", camera=Source(source="off")), {}) == {
        ("room", "url"): "wss://a",
        ("camera", "source"): "off",
    }


def test_what_is_so_already_is_not_set() -> None:
    here = {"room": {"url": ["wss://a"], "name": "x"}, "camera": {"source": "pattern"}}
    assert changes(Answers(url="wss://a", room="x", camera=Source(source="pattern")), here) == {}


def test_a_new_way_to_a_token_ends_the_one_before() -> None:
    here = {"credentials": {"api_key": "k", "api_secret": SECRET, "token_file": ""}}
    assert changes(Answers(origin=TokenEndpoint(url="https://t")), here) == {
        ("credentials", "endpoint"): "https://t",
        ("credentials", "api_key"): "",
        ("credentials", "api_secret"): "",
    }
    assert secret_files(Answers(origin=TokenEndpoint(url="https://t"))) == dict.fromkeys(
        ("token", "api_key", "api_secret", "endpoint_headers")
    )
    assert secret_files(Answers(origin=KeyPair(key="k", secret=SECRET))) == {
        "token": None,
        "api_key": "k\n",
        "api_secret": f"{SECRET}\n",
        "endpoint_headers": None,
    }
    assert secret_files(Answers(origin=ReadyToken(token="t")))["token"] == "t\n"
    assert secret_files(Answers()) == {}
    assert SECRET not in repr(Answers(origin=KeyPair(key="k", secret=SECRET)))


@pytest.mark.parametrize(
    ("text", "secrets", "origin"),
    (
        ("", (), ""),
        ("", ("token",), "token"),
        ("", ("api_key", "api_secret"), "key"),
        ('[credentials]\nendpoint = "https://t"\n', ("token",), "endpoint"),
        ('[credentials]\napi_key = "k"\n', ("token",), "key"),
    ),
)
def test_the_present_way_is_the_one_that_the_daemon_would_take(
    text: str, secrets: tuple[str, ...], origin: str
) -> None:
    assert Present(text=text, data=tomllib.loads(text), secrets=frozenset(secrets)).origin == origin


def test_a_present_file_is_read_with_its_mistakes_if_they_are_asked_about(tmp_path: Path) -> None:
    path = tmp_path / "device.toml"
    assert present.read(tmp_path) == Present()
    path.write_text("\ufeff[room]\nurl = 'nothing'\n", encoding="utf-8")
    assert present.read(tmp_path).urls == ["nothing"]
    for text, expected in (("[room\n", "is not valid TOML"), ("[camera]\nfps = 0\n", "camera.fps")):
        path.write_text(text)
        with pytest.raises(ConfigError, match=expected):
            present.read(tmp_path)


def test_a_device_that_is_named_without_its_source_is_offered_again() -> None:
    text = '[camera]\ndevice = "imx219"\n'
    here = Present(text=text, data=tomllib.loads(text))
    assert here.source("camera") == Source(source="auto", device="imx219")
    assert here.source("microphone") is None
    assert here.effective("microphone") == Source(source="auto")
    first = listing.cameras([CAMERA], "none", here.source("camera"))[0]
    assert first.source == here.source("camera")
    assert changes(Answers(camera=first.source), here.data) == {("camera", "source"): "auto"}


CAMERA = {"name": "imx708", "id": "/base/soc/imx708@1a", "number": 0}


def test_the_only_camera_is_not_named() -> None:
    assert listing.cameras([CAMERA], "none", None)[0].source == Source(source="auto")
    two = listing.cameras([CAMERA, CAMERA | {"id": "usb"}], [], None)
    assert [each.source.device for each in two[:2]] == ["/base/soc/imx708@1a", "usb"]


def test_without_a_camera_the_first_that_comes_is_offered_and_why_there_is_none() -> None:
    first, *rest = listing.cameras("libcamera finds no camera", "none", None)
    assert "libcamera finds no camera" in first.label
    assert first.source == Source(source="auto")
    assert [each.source.source for each in rest] == ["pattern", "off"]


def test_usb_cameras_come_after_the_boards_own_and_are_named_by_what_replugging_does_not_change() -> None:
    usb = [
        {"name": "C920", "node": "/dev/video0", "link": "/dev/v4l/by-id/usb-C920-video-index0"},
        {"name": "Twin", "node": "/dev/video2", "link": ""},
        {"name": "Twin", "node": "/dev/video4", "link": ""},
        {"name": "Card", "node": "/dev/video6", "link": ""},
    ]
    own, *rest = listing.cameras([CAMERA], usb, None)
    assert own.source == Source(source="auto")
    assert [each.source.device for each in rest[:4]] == [usb[0]["link"], "/dev/video2", "/dev/video4", "Card"]
    first = listing.cameras("libcamera finds no camera", usb[:1], None)[0]
    assert (first.label, first.source) == ("C920 (/dev/video0)", Source(source="v4l2"))


def test_a_speaker_is_asked_for_only_if_there_is_one_and_is_off_by_default() -> None:
    assert listing.speakers("PortAudio lists none", None) == []
    assert listing.speakers([], None) == []
    none, default, *others = listing.speakers([{"name": "USB Speaker: - (hw:1,0)"}], None)
    assert [each.source for each in (none, default)] == [Source(source="off"), Source(source="pyaudio")]
    assert [each.source for each in others] == [Source(source="pyaudio", device="USB Speaker")]
    here = Present(text="", data={"speaker": {"source": "pyaudio", "device": "USB"}})
    first, *_ = listing.speakers("PortAudio lists none", here.source("speaker"))
    assert (first.label, first.source) == ("unchanged: pyaudio USB", here.source("speaker"))
    assert Present(text="", data={"speaker": {"volume_db": 3}}).source("speaker") is None
    assert changes(Answers(speaker=others[0].source), {}) == {
        ("speaker", "source"): "pyaudio",
        ("speaker", "device"): "USB Speaker",
    }


@pytest.mark.parametrize(
    ("given", "source"),
    (
        ("off", Source(source="off")),
        ("none", Source(source="off")),
        ("auto", Source(source="pyaudio")),
        ("USB", Source(source="pyaudio", device="USB")),
    ),
)
def test_an_option_names_a_speaker(given: str, source: Source) -> None:
    assert options.speaker(given) == source


def test_a_microphone_is_named_by_what_a_reboot_does_not_change() -> None:
    names = ("USB Audio Device: - (hw:1,0)", "Twin: - (hw:2,0)", "Twin: - (hw:3,0)")
    choices = listing.microphones([{"name": name} for name in names], None)
    assert [each.source.device for each in choices[:4]] == ["", "USB Audio Device", names[1], names[2]]


def test_what_is_configured_comes_first() -> None:
    assert listing.cameras([CAMERA], "none", Source(source="off"))[0].source == Source(source="off")
    film = listing.cameras([CAMERA], "none", Source(source="file"))[0]
    assert (film.label, film.source) == ("unchanged: file", Source(source="file"))


@pytest.mark.parametrize(
    ("text", "source"),
    (
        ("v4l2", Source(source="v4l2")),
        ("v4l2:C920", Source(source="v4l2", device="C920")),
        ("/dev/video2", Source(source="v4l2", device="/dev/video2")),
        ("serial:8F2A", Source(source="v4l2", device="serial:8F2A")),
        ("off", Source(source="off")),
        ("first", Source(source="auto")),
        ("1", Source(source="auto", device="1")),
    ),
)
def test_a_camera_as_an_option(text: str, source: Source) -> None:
    assert options.camera(text) == source


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    options.add_options(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    (
        (("--api-key", "k", "--token-file", "t"), "--api-key and --token-file are given together"),
        (("--api-secret-file", "t"), "--api-secret-file needs --api-key"),
        (("--token-file", "-"), "add --yes"),
        (("--token-file", "/nowhere/token"), "--token-file /nowhere/token: cannot be read: No such file"),
        (("--token-file", "/dev/null"), "--token-file /dev/null: is empty"),
    ),
)
def test_options_that_do_not_go_together(arguments: tuple[str, ...], expected: str) -> None:
    with pytest.raises(options.UsageError, match=expected):
        options.given(parsed(*arguments))


def test_what_is_missing_depends_on_what_is_there() -> None:
    here = '[room]\nurl = "ws://h"\n[credentials]\ntoken_file = "t"\n'
    options.demand_complete(parsed("--yes"), Present(text=here, data=tomllib.loads(here)))
    with pytest.raises(options.UsageError, match=r"missing: --api-secret-file, --room$"):
        options.demand_complete(parsed("--yes", "--url", "ws://h", "--api-key", "k"), Present())


def answered(*lines: str) -> Terminal:
    return Terminal(stdin=io.StringIO("".join(f"{line}\n" for line in lines)), stdout=io.StringIO())


def test_answers_that_are_no_answers_are_asked_again() -> None:
    terminal = answered("\x1b[A", "5", "2", "maybe", "y")
    assert terminal.choose("Which?", ["one", "tw\x1bo"]) == 1
    assert terminal.confirm("Sure?")
    with pytest.raises(InputEndedError):
        terminal.ask("More")
    assert isinstance(terminal.stdout, io.StringIO)
    assert "\x1b" not in terminal.stdout.getvalue()


def test_a_secret_is_known_to_redaction_from_then_on() -> None:
    terminal = answered(SECRET)
    assert terminal.ask_secret("API secret") == SECRET
    terminal.say(f"it is {SECRET}")
    assert isinstance(terminal.stdout, io.StringIO)
    assert SECRET not in terminal.stdout.getvalue()


def chosen(server: str, *, mints: bool = True) -> tuple[str, str]:
    found = viewer_url(
        server,
        room="lobby",
        mint=(lambda: "to.k+en") if mints else None,
        lifetime="2 hours",
        own_address="192.0.2.7",
    )
    assert "to.k+en" not in repr(found)
    return found.url, "\n".join(found.notes)


def test_a_server_with_tls_is_watched_on_the_public_page() -> None:
    url, notes = chosen("wss://room.example/path")
    assert url == "https://meet.livekit.io/custom?liveKitUrl=wss://room.example/path&token=to.k%2Ben"
    assert "valid for 2 hours" in notes


def test_a_server_without_tls_is_watched_on_a_page_of_this_device() -> None:
    url, notes = chosen("ws://192.0.2.9:7880")
    assert url == ""
    assert "viewer --bind 0.0.0.0:8080" in notes
    assert "prints a link with a key in it" in notes


def test_a_server_on_loopback_has_no_url_for_others() -> None:
    for server in ("ws://127.0.0.1:7880", "wss://localhost", "ws://[::1]:7880"):
        assert chosen(server)[0] == ""


def test_without_a_secret_it_is_said_where_a_token_comes_from() -> None:
    url, notes = chosen("wss://room.example", mints=False)
    assert not url
    assert "cannot make tokens for viewers" in notes


def farewell(tmp_path: Path, url: str, *, encoding: str = "utf-8") -> tuple[str, str]:
    """Return what is shown for a device with key and secret, and where it wants its page served."""
    (tmp_path / "device.toml").write_text(f'[room]\nurl = "{url}"\nname = "lobby"\n')
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials/api_key").write_text("k")
    (tmp_path / "credentials/api_secret").write_text(SECRET)
    shown = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    bind = show_viewer_url(Terminal(stdin=io.StringIO(), stdout=shown), loaded(tmp_path))
    assert isinstance(shown.buffer, io.BytesIO)
    return shown.buffer.getvalue().decode(encoding), bind


def test_the_url_that_is_shown_holds_a_token_that_may_watch(tmp_path: Path) -> None:
    shown, bind = farewell(tmp_path, "wss://room.invalid")
    [url] = [line for line in shown.splitlines() if line.startswith("https://meet.livekit.io/")]
    query = dict(parse_qsl(urlsplit(url).query))
    claims = jwt.decode(query["token"], SECRET, algorithms=["HS256"])
    assert query["liveKitUrl"] == "wss://room.invalid"
    assert (claims["video"]["room"], claims["video"]["canPublish"]) == ("lobby", False)
    assert 7000 < claims["exp"] - time.time() <= 7300
    assert "█" in shown
    assert max(map(len, shown.splitlines()[shown.splitlines().index(url) + 1 :])) <= 80
    assert SECRET not in shown
    assert bind == ""


def test_a_terminal_that_cannot_show_a_code_gets_the_url_alone(tmp_path: Path) -> None:
    shown, _ = farewell(tmp_path, "wss://room.invalid", encoding="ascii")
    assert "https://meet.livekit.io/" in shown
    assert "no QR code" in shown


def test_the_address_of_this_device_is_the_one_on_its_way_to_the_server() -> None:
    assert own_address("ws://127.0.0.1:7880") == "127.0.0.1"
    assert own_address("ws://does-not-exist.invalid") == ""


@pytest.mark.parametrize("colours", (False, True))
def test_a_code_holds_the_modules_that_it_should(colours: bool) -> None:  # noqa: FBT001
    text = "https://meet.livekit.io/custom?token=" + 400 * "x"
    shown = qr.lines(text, colours=colours)
    plain = [line.replace("\033[30;47m", "").replace("\033[0m", "") for line in shown]
    ink = {"█": (True, True), "▀": (True, False), "▄": (False, True), " ": (False, False)}
    rows = [[ink[each][half] is colours for each in line] for line in plain for half in (0, 1)]
    code = segno.make(text, error="l", boost_error=False, micro=False)
    wanted = [[bool(each) for each in row] for row in code.matrix_iter(border=1)]
    assert rows[: len(wanted)] == wanted
    assert len(plain[0]) <= 80
    assert ("\033" in "".join(shown)) is colours


def test_a_terminal_without_the_signs_is_known() -> None:
    assert qr.encodable("utf-8")
    assert not qr.encodable("ascii")
    assert not qr.encodable("latin-1")


def test_a_second_answer_replaces_the_first() -> None:
    text = edited("", changes(Answers(url="wss://a"), {}))
    again = edited(text, changes(Answers(url="wss://b"), tomllib.loads(text)))
    assert tomllib.loads(again) == {"room": {"url": "wss://b"}}
