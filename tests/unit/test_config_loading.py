"""Errors in the configuration: reported at once, with their place, and without a secret."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.config import capture_rules
from device.config import loading as config_file
from device.config.capture_rules import least_camera_stall_s
from device.config.schema import Credentials
from device.encoders import bitrate_budget as budget
from device.errors import ConfigError, ExitCode
from device.tracks import ladder
from tests.support.configs import config_of

GOOD = '[room]\nurl = "wss://room.example"\nname = "front-door"\n[credentials]\napi_key = "key"\napi_secret = "s"\n'
ROOM = '[room]\nurl = "wss://room.example"\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "device.toml"
    path.write_text(text)
    return path


def problems(path: Path) -> dict[str, list[str]]:
    """Return the problems by place, without the file's name."""
    with pytest.raises(ConfigError) as caught:
        config_file.load(path)
    assert caught.value.exit_code is ExitCode.CONFIG
    assert not caught.value.retry
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
    found: dict[str, list[str]] = {}
    for problem in caught.value.problems:
        if not problem.place.startswith("environment"):
            assert problem.place.startswith(str(path))
        found.setdefault(problem.place.removeprefix(f"{path}: "), []).append(problem.message)
    return found


def test_a_good_file_loads(tmp_path: Path) -> None:
    config = config_file.load(write(tmp_path, GOOD))
    assert config.room.name == "front-door"
    assert config.credentials.api_secret.get_secret_value() == "s"
    assert config.camera == config_of({"room": {"url": "ws://h"}}).camera


def test_a_missing_file_is_an_error_with_the_default_path(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    [[message]] = problems(path).values()
    assert "no such file" in message
    assert "--config" in message
    assert "DEVICE_CONFIG" in message
    assert "/etc/livekit-device/device.toml" in message


def test_a_folder_cannot_be_read(tmp_path: Path) -> None:
    [[message]] = problems(tmp_path).values()
    assert message == "cannot be read: Is a directory"


def test_a_file_that_is_not_utf8_is_an_error_with_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "device.toml"
    path.write_bytes(b"[room]\n# caf\xe9\n")
    [[message]] = problems(path).values()
    assert message == "is not UTF-8 text (byte 12, in line 2); save it as UTF-8"


@pytest.mark.parametrize(
    ("text", "line"),
    (
        ("[room\n", "line 1"),
        ("[room]\nurl = wss://x\n", "line 2"),
        ('[room]\nurl = "a"\nurl = "b"\n', "line 3"),
        ("[camera]\nfps = 010\n", "line 2"),
    ),
)
def test_invalid_toml_is_an_error_with_the_line(tmp_path: Path, text: str, line: str) -> None:
    [[message]] = problems(write(tmp_path, text)).values()
    assert message.startswith("is not valid TOML: ")
    assert line in message


def test_an_empty_file_lacks_only_the_room(tmp_path: Path) -> None:
    found = problems(write(tmp_path, ""))
    assert list(found) == ["room"]
    assert "is required" in found["room"][0]


def test_a_missing_url_is_an_error_with_its_variable(tmp_path: Path) -> None:
    found = problems(write(tmp_path, "[room]\n"))
    assert found == {"room.url": ["is required; set it in the file or by DEVICE_ROOM__URL"]}


@pytest.mark.parametrize(
    ("text", "place", "suggestion"),
    (
        ("[camra]\nfps = 15\n", "camra", "did you mean camera?"),
        ("[camera]\nwitdh = 640\n", "camera.witdh", "did you mean width?"),
        ("[camera]\nzzz = 15\n", "camera.zzz", "known: source, width"),
        ("[microphone]\nchanels = 2\n", "microphone.chanels", "did you mean channels?"),
        ("[log]\nlevels = 'info'\n", "log.levels", "did you mean level?"),
        ("[watch]\ncamera_stall = 2\n", "watch.camera_stall", "did you mean camera_stall_s?"),
        ("[zzz]\n", "zzz", "known: room, credentials, camera"),
        ("[credentials]\napi_secrets = 'x'\n", "credentials.api_secrets", "did you mean api_secret?"),
    ),
)
def test_an_unknown_name_gets_the_nearest_known_one(tmp_path: Path, text: str, place: str, suggestion: str) -> None:
    found = problems(write(tmp_path, ROOM + text))
    assert list(found) == [place]
    assert "there is no such" in found[place][0]
    assert suggestion in found[place][0]


@pytest.mark.parametrize(
    ("table", "line", "said"),
    (
        ("camera", 'fps = "15"', "must be a whole number"),
        ("camera", "fps = 15.0", "must be a whole number"),
        ("camera", "fps = 15.5", "must be a whole number"),
        ("camera", "fps = []", "must be a whole number"),
        ("camera", 'hflip = "yes"', "must be true or false"),
        ("camera", "hflip = 1", "must be true or false"),
        ("camera", "path = 5", "must be text in quotes"),
        ("camera", "device = 0", "must be text in quotes"),
        ("camera", "controls = 5", "must be a table"),
        ("microphone", 'gain_db = "3"', "must be a number"),
        ("microphone", "processing = 0", "must be true or false"),
        ("credentials", "api_secret = 5", "must be text in quotes"),
        ("credentials", "token_file = false", "must be text in quotes"),
        ("camera", "source = 'webcam'", "allowed: 'auto', 'picamera2', 'v4l2', 'stream', 'pattern', 'file' or 'off'"),
        ("camera", "source = 1", "allowed: 'auto', 'picamera2', 'v4l2', 'stream', 'pattern', 'file' or 'off'"),
        ("camera", "encoder = 'nvenc'", "allowed: 'auto', 'v4l2', 'x264' or 'copy'"),
        ("log", "level = 'INFO'", "allowed: 'debug', 'info', 'warning' or 'error'"),
        ("camera", "width = 641", "must be even"),
        ("camera", "height = 481", "must be even"),
        ("camera", "width = 158", "allowed: 160 or more"),
        ("camera", "width = 3842", "allowed: 3840 or less"),
        ("camera", "height = 118", "allowed: 120 or more"),
        ("camera", "height = 2162", "allowed: 2160 or less"),
        ("camera", "fps = 0", "allowed: 1 or more"),
        ("camera", "fps = -1", "allowed: 1 or more"),
        ("camera", "fps = 121", "allowed: 120 or less"),
        ("camera", "fps = 99999999999999999999", "allowed: 120 or less"),
        ("camera", "keyframe_interval_s = 0", "allowed: 1 or more"),
        ("camera", "bitrate_min_bps = 1", "allowed: 30000 or more"),
        ("camera", "bitrate_max_bps = 50000001", "allowed: 50000000 or less"),
        ("microphone", "channels = 3", "allowed: 2 or less"),
        ("microphone", "channels = 0", "allowed: 1 or more"),
        ("microphone", "gain_db = 60.1", "allowed: 60"),
        ("microphone", "gain_db = -61", "allowed: -60"),
        ("microphone", "gain_db = nan", "allowed"),
        ("microphone", "gain_db = inf", "allowed: 60"),
        ("metrics", 'bind = "9478"', "must be empty or HOST:PORT"),
        ("metrics", 'bind = "localhost:99999"', "must be empty or HOST:PORT"),
        ("metrics", 'bind = "http://127.0.0.1:9478"', "must be empty or HOST:PORT"),
        ("metrics", 'textfile = "/run/device.txt"', "must be empty or end in .prom"),
        ("metrics", 'textfile = "file:///device.prom"', "allowed is the path of a file"),
        ("watch", "camera_stall_s = 0.4", "allowed: 0.5 or more"),
        ("watch", "microphone_stall_s = 61", "allowed: 60"),
        ("credentials", "endpoint = 'room.example/token'", "begins with https:// or http://"),
        ("credentials", "endpoint = 'ftp://room.example/'", "begins with https:// or http://"),
    ),
)
def test_a_wrong_value_says_what_is_allowed(tmp_path: Path, table: str, line: str, said: str) -> None:
    found = problems(write(tmp_path, f"{ROOM}[{table}]\n{line}\n"))
    assert list(found) == [f"{table}.{line.partition(' ')[0]}"]
    [message] = found.popitem()[1]
    assert said in message


@pytest.mark.parametrize(
    ("value", "said"),
    (
        ("", "is empty"),
        ("room.example", "must begin with ws:// or wss://"),
        ("ftp://room.example", "must begin with ws:// or wss://"),
        ("wss://", "has no host"),
        ("wss://:7880", "has no host"),
        ("wss://h:port", "is not a URL"),
        ("wss://h:70000", "is not a URL"),
        ("wss://[::1", "is not a URL"),
        ("wss://me@h", "must not hold a user"),
        ("wss://me:word@h", "must not hold a user"),
        ("wss://h/?access_token=x", "a query"),
        ("wss://h/#x", "a fragment"),
    ),
)
def test_an_invalid_url_is_an_error_with_an_example(tmp_path: Path, value: str, said: str) -> None:
    found = problems(write(tmp_path, f"[room]\nurl = {json.dumps(value)}\n"))
    assert list(found) == ["room.url"]
    assert said in found["room.url"][0]


@pytest.mark.parametrize(
    ("value", "url"),
    (
        ("ws://h", "ws://h"),
        ("wss://h:443/path", "wss://h:443/path"),
        ("http://h:7880", "ws://h:7880"),
        ("https://h", "wss://h"),
        ("WSS://H", "wss://H"),
        ("ws://[::1]:7880", "ws://[::1]:7880"),
    ),
)
def test_http_becomes_ws(tmp_path: Path, value: str, url: str) -> None:
    assert config_file.load(write(tmp_path, f'[room]\nurl = "{value}"\n')).room.url == (url,)


@pytest.mark.parametrize(
    ("text", "place", "said"),
    (
        ("[camera]\nsource = 'file'\n", "camera", "path is empty"),
        ("[microphone]\nsource = 'file'\n", "microphone", "path is empty"),
        ("[camera]\nbitrate_min_bps = 3_000_000\n", "camera", "bitrate_min_bps (3000000) is above bitrate_max_bps"),
        ("[camera]\nsource = 'pattern'\nencoder = 'v4l2'\n", "camera", 'encoder = "v4l2"'),
        ("[camera]\nsource = 'pattern'\nencoder = 'copy'\n", "camera", 'encoder = "copy"'),
        ("[camera]\nsource = 'off'\n[microphone]\nsource = 'off'\n", "", "are both off"),
        (
            "[credentials]\ntoken_file = 'a'\nendpoint = 'https://h'\n",
            "credentials",
            "token_file and endpoint are both",
        ),
        ("[credentials]\ntoken_file = 'a'\napi_key = 'k'\n", "credentials", "token_file and api_key are both"),
        ("[credentials]\napi_key = 'k'\napi_secret = 's'\napi_secret_file = 'f'\n", "credentials", "are both set"),
        ("[credentials]\ntoken_file = 'a'\napi_secret = 's'\n", "credentials", "an api_secret does not go with token"),
        ("[credentials]\nendpoint_headers_file = 'a'\n", "credentials", "endpoint_headers_file is set without"),
    ),
)
def test_values_that_contradict_each_other(tmp_path: Path, text: str, place: str, said: str) -> None:
    path = write(tmp_path, ROOM + text)
    found = problems(path)
    assert list(found) == [place or str(path)]
    assert said in found[place or str(path)][0]


def test_all_problems_are_reported_at_once_and_only_once(tmp_path: Path) -> None:
    text = """
        [room]
        url = "room.example"
        colour = "red"
        [credentials]
        token_file = "a"
        endpoint = "https://h"
        [camera]
        width = 641
        fps = "15"
        hflip = "no"
        source = "file"
        [microphone]
        source = "file"
        gain_db = 100
        [wacth]
        x = 1
        [log]
        level = "loud"
    """
    path = write(tmp_path, text)
    found = problems(path)
    assert set(found) == {
        "room.url",
        "room.colour",
        "credentials",
        "camera.width",
        "camera.fps",
        "camera.hflip",
        "camera",
        "microphone.gain_db",
        "microphone",
        "wacth",
        "log.level",
    }
    assert {place: len(messages) for place, messages in found.items()} == dict.fromkeys(found, 1)


def test_a_scalar_in_place_of_a_table_hides_nothing_else(tmp_path: Path) -> None:
    found = problems(write(tmp_path, "room = 5\nlog = 'x'\n[camera]\nfps = 0\nsource = 'file'\n"))
    assert found["room"] == ["must be a table"]
    assert found["log"] == ["must be a table"]
    assert "camera.fps" in found
    assert "path is empty" in found["camera"][0]


@pytest.mark.parametrize("value", ("2020-01-01", "[true]", '["a"]', "{ x = 1 }"))
def test_a_wrong_camera_control_is_one_problem(tmp_path: Path, value: str) -> None:
    found = problems(write(tmp_path, f"{ROOM}[camera.controls]\nAeEnable = {value}\n"))
    assert list(found) == ["camera.controls.AeEnable"]
    assert len(found["camera.controls.AeEnable"]) == 1


def test_camera_controls_keep_name_and_type(tmp_path: Path) -> None:
    text = "[camera.controls]\nAeEnable = true\nExposureTime = 10000\nGain = 1.5\nColourGains = [1.5, 2]\nMode = 'x'\n"
    controls = config_file.load(write(tmp_path, GOOD + text)).camera.controls
    assert controls == {
        "AeEnable": True,
        "ExposureTime": 10000,
        "Gain": 1.5,
        "ColourGains": [1.5, 2],
        "Mode": "x",
    }
    assert [type(controls[key]) for key in ("AeEnable", "ExposureTime", "Gain")] == [bool, int, float]


def test_the_environment_overrides_and_its_numbers_are_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVICE_CAMERA__FPS", "15")
    monkeypatch.setenv("DEVICE_CAMERA__HFLIP", "true")
    monkeypatch.setenv("DEVICE_MICROPHONE__GAIN_DB", "-3.5")
    monkeypatch.setenv("DEVICE_ROOM__NAME", "back-door")
    monkeypatch.setenv("device_log__level", "debug")
    config = config_file.load(write(tmp_path, GOOD + "[camera]\nfps = 30\nwidth = 640\nheight = 480\n"))
    assert (config.camera.fps, config.camera.width, config.camera.hflip) == (15, 640, True)
    assert config.microphone.gain_db == -3.5
    assert (config.room.name, config.room.url) == ("back-door", ("wss://room.example",))
    assert config.log.level == "debug"


def test_the_environment_overrides_invalid_values_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVICE_CAMERA__FPS", "15")
    assert config_file.load(write(tmp_path, GOOD + '[camera]\nfps = "fast"\n')).camera.fps == 15


@pytest.mark.parametrize("empty", ("", "  ", '""', "''"))
def test_an_empty_variable_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty: str) -> None:
    for name in ("CAMERA__FPS", "ROOM__URL", "CAMERA__HFLIP", "CAMERA__CONTROLS", "LOG__LEVEL", "CREDENTIALS__API_KEY"):
        monkeypatch.setenv(f"DEVICE_{name}", empty)
    config = config_file.load(write(tmp_path, GOOD))
    monkeypatch.undo()
    assert config == config_file.load(write(tmp_path, GOOD))


@pytest.mark.parametrize("quoted", ('"{}"', "'{}'", ' "{}" ', "{}\r"))
def test_quotes_around_a_variables_value_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quoted: str
) -> None:
    for name, value in {
        "DEVICE_ROOM__URL": "wss://other.example",
        "DEVICE_CAMERA__FPS": "12",
        "DEVICE_CAMERA__HFLIP": "true",
        "DEVICE_LOG__LEVEL": "debug",
        "DEVICE_CREDENTIALS__API_SECRET": "zq-secret",
        "DEVICE_CAMERA__CONTROLS": '{"AeEnable": true}',
    }.items():
        monkeypatch.setenv(name, quoted.format(value))
    config = config_file.load(write(tmp_path, GOOD))
    assert config.room.url == ("wss://other.example",)
    assert (config.camera.fps, config.camera.hflip, config.log.level) == (12, True, "debug")
    assert config.credentials.api_secret.get_secret_value() == "zq-secret"
    assert config.camera.controls == {"AeEnable": True}


@pytest.mark.parametrize(
    ("name", "suggestion"),
    (
        ("DEVICE_CAMERA_FPS", "; did you mean DEVICE_CAMERA__FPS?"),
        ("device_camera_fps", "; did you mean DEVICE_CAMERA__FPS?"),
        ("DEVICE_ROOM_URL", "; did you mean DEVICE_ROOM__URL?"),
        ("DEVICE_API_SECRET", "; did you mean DEVICE_CREDENTIALS__API_SECRET?"),
        ("DEVICE_CONFG", "; did you mean DEVICE_CONFIG?"),
        ("DEVICE_XYZZY", ""),
    ),
)
def test_an_unknown_variable_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, suggestion: str
) -> None:
    monkeypatch.setenv(name, "5")
    path = write(tmp_path, GOOD)
    path.chmod(0o600)
    [warning] = config_file.loaded(path).warnings
    assert str(warning) == f"environment: {name}: is not a variable of livekit-device and is ignored{suggestion}"


def test_known_variables_are_no_warnings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, GOOD)
    path.chmod(0o600)
    monkeypatch.setenv("DEVICE_CONFIG", str(path))
    monkeypatch.setenv("DEVICE_CAMERA__FPS", "5")
    assert config_file.loaded(path).warnings == ()


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    plain = config_file.load(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert config_file.load(path) == plain


def test_a_file_in_utf_16_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    path.write_bytes(path.read_text().encode("utf-16"))
    with pytest.raises(ConfigError, match=r"is UTF-16 text.*save it as UTF-8"):
        config_file.load(path)


def test_typographic_quotes_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, "[room]\nurl = \u201cwss://room.example\u201d\n")
    with pytest.raises(ConfigError, match=r"line 2, column 7 is a typographic quote \(\u201c\); allowed are"):
        config_file.load(path)


@pytest.mark.parametrize("table", ("camera", "microphone"))
@pytest.mark.parametrize(
    "value",
    (
        "rtsp://admin:hunter2@192.0.2.7/stream1",
        "https://h/film.mp4",
        "file:///film.mp4",
        "file:film.mp4",
        "udp://@239.0.0.1:1234",
        "RTMP://h/x",
    ),
)
def test_a_url_as_path_is_refused(tmp_path: Path, table: str, value: str) -> None:
    found = problems(write(tmp_path, f"{ROOM}[{table}]\nsource = 'file'\npath = '{value}'\n"))
    [message] = found[f"{table}.path"]
    assert message == "is a URL; allowed is the path of a file on this device"


def test_userinfo_in_the_endpoint_is_refused(tmp_path: Path) -> None:
    found = problems(write(tmp_path, f"{ROOM}[credentials]\nendpoint = 'https://me:zqword@h/token'\n"))
    [message] = found["credentials.endpoint"]
    assert "endpoint_headers_file" in message
    assert "zqword" not in message


@pytest.mark.parametrize(
    ("camera", "least_s"),
    (
        ("fps = 30", 0.85),
        ("fps = 1", 3.0),
        ("fps = 5", 1.05),
        ("fps = 30\nsource = 'file'\npath = 'x'", 1.5),
        ("fps = 1\nsource = 'file'\npath = 'x'\nencoder = 'copy'", 3.0),
    ),
)
def test_a_stall_limit_that_a_healthy_camera_exceeds_is_refused_with_the_minimum(
    tmp_path: Path, camera: str, least_s: float
) -> None:
    for limit_s, fine in ((least_s, True), (round(least_s - 0.01, 2), False)):
        path = write(tmp_path, f"{GOOD}[camera]\n{camera}\n[watch]\ncamera_stall_s = {limit_s}\n")
        if fine:
            assert config_file.load(path).watch.camera_stall_s == limit_s
            continue
        with pytest.raises(ConfigError) as caught:
            config_file.load(path)
        assert f"watch.camera_stall_s is {limit_s:g}" in str(caught.value)
        assert f"allowed: {least_s:g} or more" in str(caught.value)
    # The default is not refused; it is raised to what the source needs.
    config = config_file.load(write(tmp_path, f"{GOOD}[camera]\n{camera}\n"))
    assert max(config.watch.camera_stall_s, least_camera_stall_s(config.camera)) >= least_s


def test_the_constants_of_the_minimum_are_equal_to_those_of_their_modules() -> None:
    assert pytest.approx(budget.LONGEST_PAUSE_S) == capture_rules.LONGEST_PAUSE_S
    assert capture_rules.SLOWEST_FPS == ladder.SLOWEST_FPS


def test_a_wrong_value_in_the_environment_is_named_by_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "DEVICE_CAMERA__FPS": "fast",
        "DEVICE_CAMERA__WIDTH": "641",
        "DEVICE_CAMERA__HIEGHT": "480",
        "DEVICE_CAMRA__WIDTH": "640",
        "DEVICE_ROOM__URL": "ftp://h",
        "DEVICE_MICROPHONE__PROCESSING": "perhaps",
        "device_log__level": "loud",
    }.items():
        monkeypatch.setenv(name, value)
    found = problems(write(tmp_path, GOOD + "[microphone]\nchannels = 3\n"))
    assert set(found) == {
        "environment: DEVICE_CAMERA__FPS",
        "environment: DEVICE_CAMERA__WIDTH",
        "environment: DEVICE_CAMERA__HIEGHT",
        "environment: DEVICE_CAMRA__WIDTH",
        "environment: DEVICE_ROOM__URL",
        "environment: DEVICE_MICROPHONE__PROCESSING",
        "environment: device_log__level",
        "microphone.channels",
    }
    assert "there is no table [camra]; did you mean camera?" in found["environment: DEVICE_CAMRA__WIDTH"]
    assert "did you mean height?" in found["environment: DEVICE_CAMERA__HIEGHT"][0]


def test_a_wrong_table_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVICE_CAMERA", "5")
    assert list(problems(write(tmp_path, GOOD))) == ["environment: DEVICE_CAMERA"]


def test_a_control_from_the_environment_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Libcamera has AeEnable, not aeenable: the exact name must be passed on."""
    monkeypatch.setenv("DEVICE_CAMERA__CONTROLS__AeEnable", "true")
    try:
        controls = config_file.load(write(tmp_path, GOOD)).camera.controls
    except ConfigError as error:
        assert "DEVICE_CAMERA__CONTROLS__AeEnable" in str(error)  # noqa: PT017
    else:
        assert controls == {"AeEnable": True}


def test_json_that_does_not_parse_hides_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVICE_CAMERA__CONTROLS", "{AeEnable")
    found = problems(write(tmp_path, GOOD + "[log]\nlevel = 'loud'\n"))
    assert any(place.startswith("environment") for place in found)
    assert "log.level" in found


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    write(
        folder,
        ROOM + "[credentials]\ntoken_file = 'token'\n[camera]\nsource = 'file'\npath = 'films/a.mp4'\n"
        "[microphone]\nsource = 'file'\npath = '/srv/a.mp4'\n",
    )
    monkeypatch.chdir(tmp_path)
    config = config_file.load(Path("etc/device.toml"))
    assert config.credentials.token_file == str(folder / "token")
    assert config.credentials.api_secret_file == ""
    assert config.camera.path == str(folder / "films/a.mp4")
    assert config.microphone.path == "/srv/a.mp4"


def test_the_path_is_the_argument_else_the_variable_else_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert config_file.find(None) == Path("/etc/livekit-device/device.toml")
    monkeypatch.setenv("DEVICE_CONFIG", "")
    assert config_file.find(None) == Path("/etc/livekit-device/device.toml")
    monkeypatch.setenv("DEVICE_CONFIG", "/b.toml")
    assert config_file.find(None) == Path("/b.toml")
    assert config_file.find(Path("/a.toml")) == Path("/a.toml")


MARKERS = st.text("abcdefghijkmnpqrstuvwxyz23456789", min_size=16, max_size=24).map(lambda text: f"zq{text}")
SHAPES = st.sampled_from(
    (
        '"{}"',
        '"https://{}@h/"',
        '"https://u:{}@h/"',
        '"https://h/?key={}"',
        '"https://[{}]/"',
        '"https://{}\u2100@h/"',
        '"https://h:{}/"',
        '["{}"]',
        '{{ a = "{}" }}',
        '"{}',
        "{}",
        '"\\{}"',
        '"{}\n"',
    )
)
MISTAKES = st.sampled_from(
    (
        "[camera]\nfps = 0\n",
        "[camera]\nfsp = 1\n",
        "[camera\n",
        "[log]\nlevel = 5\n",
        "[credentials]\n",
        "credentials = 5\n",
        "[camera]\nsource = 'file'\n",
    )
)


@given(
    marker=MARKERS,
    shape=SHAPES,
    mistake=MISTAKES,
    key=st.sampled_from(list(Credentials.model_fields)),
    other=st.sampled_from(("", "api_secret_file = 'x'", "api_key = 5", "token_file = 'x'")),
)
def test_no_message_contains_a_credential(marker: str, shape: str, mistake: str, key: str, other: str) -> None:
    text = f"{ROOM}[credentials]\n{key} = {shape.format(marker)}\n{other}\n{mistake}"
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), text)
        with pytest.raises(ConfigError) as caught:
            config_file.load(path)
    assert marker not in str(caught.value)
    assert marker not in repr(caught.value)


@given(marker=MARKERS, shape=SHAPES, key=st.sampled_from(("API_SECRET", "ENDPOINT", "API_KEY", "TOKEN_FILE")))
def test_no_message_contains_a_secret_of_the_environment(marker: str, shape: str, key: str) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv(f"DEVICE_CREDENTIALS__{key}", shape.format(marker))
        patch.setenv("DEVICE_CAMERA__FPS", "fast")
        path = write(Path(folder), ROOM)
        with pytest.raises(ConfigError) as caught:
            config_file.load(path)
        patch.setenv("DEVICE_CREDENTIALS", shape.format(marker))
        with pytest.raises(ConfigError) as caught_table:
            config_file.load(path)
    assert marker not in str(caught.value)
    assert marker not in str(caught_table.value)


@given(
    marker=MARKERS,
    line=st.sampled_from(
        (
            'api_key = "k"\napi_secret = "{}"',
            'endpoint = "https://h/?key={}"',
        )
    ),
)
def test_a_loaded_configuration_shows_no_secret(marker: str, line: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        config = config_file.load(write(Path(folder), f"{ROOM}[credentials]\n{line.format(marker)}\n"))
    for shown in (repr(config), str(config), repr(config.credentials), f"{config!r}"):
        assert marker not in shown
