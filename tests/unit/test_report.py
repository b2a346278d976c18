"""`livekit-device report`: everything that helps, and no secret, wherever that was."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import jwt
import pytest

from device.errors import DeviceError
from device.redaction import MARK
from device.report import bounded, command, secrets, sections
from device.report.bounded import SectionError, output_of
from tests.support.children import alive

ROOT = Path(__file__).parents[2]
TITLES = ("versions", "board", "configuration", "files", "environment", "devices", "service", "state", "check", "log")

PLANTED = {
    "api_secret": "zq1-a-secret-of-thirty-two-characters",
    "comment": "zq2 hunter2 of a comment",
    "header": "zq3-value-of-a-header",
    "environment": "zq4-secret-of-the-environment",
    "query": "zq5-key-of-the-endpoint",
    "password": "zq6pass",
    "old": "zq7-secret-of-last-year",
    "file": "zq8-secret-in-a-file",
}
TOKEN = jwt.encode({"sub": "device", "video": {"room": "r"}}, PLANTED["api_secret"])
CONFIG = f"""\
# {PLANTED["comment"]}
[room]
url = "ws://127.0.0.1:9"
name = "lobby"
[credentials]
api_key = "APIplanted"
api_secret = "{PLANTED["api_secret"]}"
"""
JOURNAL = f"""\
join of {TOKEN} refused
cut in the middle: {TOKEN[:60]}
wss://user:{PLANTED["password"]}@room.example/ does not answer
api_secret={PLANTED["old"]}
sent {PLANTED["header"]} with {PLANTED["query"]}, {PLANTED["file"]} and {PLANTED["environment"]}
{PLANTED["api_secret"][:20]}\x1b[2J{PLANTED["api_secret"]} of APIplanted
"""


def programs(folder: Path, **scripts: str) -> str:
    """Return a PATH on which these programs come first."""
    folder.mkdir(exist_ok=True)
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}")
        (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.fixture
def box(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a device with secrets at each place that may have one."""
    (tmp_path / "device.toml").write_text(CONFIG)
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials/endpoint_headers").write_text(f"Authorization: Bearer {PLANTED['header']}\n")
    (tmp_path / "credentials/other").write_text(f"{PLANTED['file']}\n")
    (tmp_path / "journal").write_text(JOURNAL)
    path = programs(
        tmp_path / "bin",
        journalctl=f'[ "$1 $2" = "-u livekit-device.service" ] && cat {tmp_path}/journal\n',
        systemctl=f"echo StatusText=room waiting: {TOKEN}\n",
    )
    return os.environ | {
        "PATH": path,
        "DEVICE_LOG__LEVEL": "debug",
        "DEVICE_CREDENTIALS__ENDPOINT": f"https://tokens.example/?key={PLANTED['query']}",
        "DEVICE_CREDENTIALS__API_SECRET": PLANTED["environment"],
        "HTTPS_PROXY": f"http://user:{PLANTED['password']}@127.0.0.1:9",
    }


def run(tmp_path: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "device", "report", "--config", str(tmp_path / "device.toml"), *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_everything_is_there_and_no_secret_is(tmp_path: Path, box: dict[str, str]) -> None:
    output = tmp_path / "report.txt"
    done = run(tmp_path, box, "--output", str(output))
    assert done.returncode == 0, done.stderr
    text = output.read_text()
    assert output.stat().st_mode & 0o777 == 0o600
    assert [line.split()[1] for line in text.splitlines() if line.startswith("== ")] == list(TITLES)
    for secret in (*PLANTED.values(), TOKEN, TOKEN[:60], TOKEN.split(".")[1], "APIplanted", "hunter2"):
        assert secret not in text, secret
        assert secret not in done.stdout + done.stderr
    assert "\x1b" not in text
    for shown in ('url = "ws://127.0.0.1:9"', f'api_secret = "{MARK}"', "livekit-device ", "Python 3", "StatusText="):
        assert shown in text
    assert "wss://[redacted]@room.example/ does not answer" in text
    assert "DEVICE_LOG__LEVEL=debug" in text
    # The file is never one that was there before.
    assert run(tmp_path, box, "--output", str(output)).returncode == 1
    assert output.read_text() == text


def test_a_configuration_that_is_broken_is_part_of_a_report(tmp_path: Path, box: dict[str, str]) -> None:
    (tmp_path / "device.toml").write_text(f'[room\napi_secret = "{PLANTED["old"]}\n')
    done = run(tmp_path, box, "--output", "-")
    assert done.returncode == 0
    assert "is not valid TOML" in done.stdout
    assert PLANTED["old"] not in done.stdout
    assert "== log ==" in done.stdout


def test_a_section_that_fails_says_so_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    def broken() -> str:
        raise ValueError(PLANTED["old"])

    def refused() -> str:
        raise PermissionError(13, PLANTED["old"])

    assert command._text(broken) == "[not available: an internal error (ValueError)]"
    assert command._text(refused) == "[not available: Permission denied]"
    assert command._text(sections.log) == "[not available: journalctl is not installed on this machine]"


def test_a_program_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    began = time.monotonic()
    path = tmp_path / "pid"
    text = output_of("sh", "-c", f"echo first; sleep 60 & echo $! >{path}; wait", within_s=1)
    assert text == "first\n[it took longer than 1 s; the program was killed]"
    pid = int(path.read_text())
    while alive(pid):  # it is killed, and may take a moment to go
        assert time.monotonic() - began < 30


def test_a_program_with_endless_output_is_killed() -> None:
    text = output_of("sh", "-c", "while :; do echo 0123456789012345678901234567890123456789; done", within_s=60)
    assert len(text) < 200_000
    assert "characters are left out" in text
    assert "the output was too long; the program was killed" in text


def test_the_exit_code_of_a_program_that_fails_is_reported() -> None:
    assert output_of("sh", "-c", "echo no; exit 3", within_s=10) == "no\n[exit code 3]"
    with pytest.raises(SectionError, match="not-a-program is not installed"):
        output_of("/nowhere/not-a-program", within_s=1)


def test_a_secret_is_removed_before_a_text_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "_MAX_CHARACTERS", 30)
    text = bounded.bounded(f"{'x' * 50} {TOKEN} end")
    assert text.endswith(f"{MARK} end")
    assert TOKEN[-15:] not in text


def test_only_a_file_of_its_own_is_written(tmp_path: Path) -> None:
    (tmp_path / "device.toml").write_text(CONFIG)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DeviceError, match="exists already"):
        command.run(tmp_path / "device.toml", str(link))
    with pytest.raises(DeviceError, match="cannot be written: No such file"):
        command.run(tmp_path / "device.toml", str(tmp_path / "no/report.txt"))
    assert not (tmp_path / "elsewhere").exists()


def test_values_that_say_something_by_being_empty_stay() -> None:
    data = {"credentials": {"api_secret": "", "api_key": "k", "endpoint": "https://t/?key=1"}, "room": {"name": "x"}}
    assert secrets.masked(data) == {
        "credentials": {"api_secret": "", "api_key": MARK, "endpoint": f"https://t/?{MARK}"},
        "room": {"name": "x"},
    }
