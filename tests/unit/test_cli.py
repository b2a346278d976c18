"""The command line: exit codes, and error texts without tracebacks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import jwt
import pytest

import device
from device import arguments, cli
from device.errors import ConfigError, CredentialError, Problem, StuckJoinError
from device.lifecycle.ending import exit_code_of

if TYPE_CHECKING:
    from pathlib import Path

MINTING = '[room]\nurl = "wss://room.example"\nname = "front-door"\n[credentials]\napi_key = "k"\n'
SECRET = "zq-a-secret-of-thirty-two-characters"
BAD = {
    "no-such-file": None,
    "not-toml": "[room\n",
    "wrong-value": MINTING + f'api_secret = "{SECRET}"\n[camera]\nfps = 0\n',
    "unknown-key": MINTING + f'api_secret = "{SECRET}"\n[camera]\nfsp = 30\n',
    "no-room": '[camera]\nsource = "pattern"\n',
    "no-credentials": '[room]\nurl = "wss://room.example"\n',
    "no-secret": MINTING,
    "url-as-path": f'{MINTING}api_secret = "{SECRET}"\n[camera]\nsource = "file"\npath = "rtsp://admin:{SECRET}@192.0.2.7/"\n',
    "no-room-name": f'[room]\nurl = "ws://h"\n[credentials]\napi_key = "k"\napi_secret = "{SECRET}"\n',
}


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "device", *arguments],
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_run_with_an_invalid_configuration_exits_78_without_a_traceback(tmp_path: Path) -> None:
    running = {}
    for name, text in BAD.items():
        path = tmp_path / f"{name}.toml"
        if text is not None:
            path.write_text(text)
        running[name] = start("run", "--config", str(path))
    for name, process in running.items():
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (78, ""), f"{name}: {err}"
        assert err, name
        for line in err.splitlines():
            assert line.startswith(f"{tmp_path / name}.toml: "), f"{name}: {err}"
        assert "Traceback" not in err
        assert SECRET not in err


def test_run_takes_its_file_from_the_environment(tmp_path: Path) -> None:
    process = start("run", DEVICE_CONFIG=str(tmp_path / "elsewhere.toml"))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 78
    assert str(tmp_path / "elsewhere.toml") in err


def test_help_and_version_need_no_configuration() -> None:
    asked = [start("--help"), start("--version"), start("run", "--help")]
    answers = [process.communicate(timeout=60) for process in asked]
    assert [process.returncode for process in asked] == [0, 0, 0]
    assert [err for _, err in answers] == ["", "", ""]
    for command in ("run", "check", "viewer", "viewer-token"):
        assert command in answers[0][0]
    assert answers[1][0] == f"livekit-device {device.__version__}\n"
    assert "--config" in answers[2][0]


@pytest.mark.parametrize(
    "arguments",
    (
        [],
        ["dance"],
        ["run", "--confg", "x"],
        ["rejoin", "extra"],
        ["viewer", "--bind", "8080"],
        ["viewer", "--bind", "localhost:"],
        ["viewer", "--bind", "localhost:65536"],
        ["viewer", "--bind", ":80"],
        *(["viewer-token", "--ttl", ttl] for ttl in ("", "0", "0h", "-1", "1w", "1.5h", "h", "366d", "9" * 30, "1d2h")),
    ),
)
def test_wrong_usage_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: livekit-device" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ttl", "seconds"),
    (
        ((), 6 * 3600),
        (("--ttl", "45"), 45),
        (("--ttl", "90s"), 90),
        (("--ttl", "30m"), 1800),
        (("--ttl", "6 h"), 6 * 3600),
        (("--ttl", "365d"), 365 * 86400),
    ),
)
def test_a_viewer_token_has_the_requested_ttl(
    ttl: tuple[str, ...], seconds: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "device.toml"
    path.write_text(MINTING + f'api_secret = "{SECRET}"\n')
    before = int(time.time())
    assert cli.main(["viewer-token", "--config", str(path), *ttl]) == 0
    token, url = capsys.readouterr().out.splitlines()
    assert url == "wss://room.example"
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], options={"verify_aud": False})
    assert before + seconds <= claims["exp"] <= time.time() + seconds + 1


def test_a_viewer_token_needs_the_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "device.toml"
    path.write_text('[room]\nurl = "ws://h"\n[credentials]\nendpoint = "https://h/token"\n')
    assert cli.main(["viewer-token", "--config", str(path)]) == 78
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "needs api_key and api_secret" in captured.err


@pytest.mark.parametrize(
    ("text", "address"),
    (("127.0.0.1:8080", ("127.0.0.1", 8080)), ("[::1]:0", ("::1", 0)), ("host:65535", ("host", 65535))),
)
def test_an_address_is_host_and_port(text: str, address: tuple[str, int]) -> None:
    assert arguments.address(text) == address


@pytest.mark.parametrize(
    ("error", "code"),
    (
        (StuckJoinError("stuck"), 75),
        (ConfigError(Problem("room.url", "is wrong")), 78),
        (CredentialError("none"), 70),
        (RuntimeError("ours"), 70),
        (KeyError("ours"), 70),
        (ExceptionGroup("tasks", [StuckJoinError("stuck")]), 75),
        (ExceptionGroup("tasks", [ExceptionGroup("tasks", [StuckJoinError("stuck")]), ValueError()]), 75),
        (ExceptionGroup("tasks", [ValueError()]), 70),
        (BaseExceptionGroup("tasks", [SystemExit(3)]), 70),
    ),
)
def test_the_exit_code_is_what_the_error_says_alone_or_in_a_group(error: BaseException, code: int) -> None:
    assert exit_code_of(error) == code


def test_an_internal_error_is_shown_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_options: object) -> int:
        raise ValueError(f"rtsp://admin:hunter2@192.0.2.7/stream1 api_secret={SECRET}")

    monkeypatch.setattr(cli, "_devices", fail)
    assert cli.main(["devices"]) == 70
    err = capsys.readouterr().err
    assert "ValueError: rtsp://[redacted]@192.0.2.7/stream1 api_secret=[redacted]" in err


def test_a_wrong_argument_is_shown_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["viewer", "--bind", "http://admin:hunter2@host"])
    err = capsys.readouterr().err
    assert "'http://[redacted]@host' is not HOST:PORT" in err


@pytest.mark.parametrize("journal", (True, False))
def test_errors_have_a_priority_only_if_standard_error_is_the_journal(tmp_path: Path, *, journal: bool) -> None:
    with (tmp_path / "stderr").open("w+") as stream:
        status = os.fstat(stream.fileno())
        code = subprocess.run(
            [sys.executable, "-m", "device", "run", "--config", "none"],
            env=os.environ | {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + (not journal)}"},
            stderr=stream,
            check=False,
        ).returncode
        stream.seek(0)
        lines = stream.read().splitlines()
    assert code == 78
    assert lines
    assert {line.startswith("<3>") for line in lines} == {journal}
