"""What the commands print."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest

from device import cli
from device.control import commands, set_commands
from device.control.results import BoardStatus, DeviceStatus, RoomStatus, SpeakerStatus, StreamStatus

if TYPE_CHECKING:
    from pathlib import Path

STATUS = DeviceStatus(
    state="recovering",
    identity="front-door",
    version="1.2.3",
    model="Raspberry Pi 4 Model B",
    pid=1,
    uptime_s=93784.0,
    clock_offset_s=-75.4,
    config_file="/etc/livekit-device/device.toml",
    configuration="applied at 10:00:00 UTC: camera.fps",
    room=RoomStatus(state="live", reason="", url="wss://room", name="door", last_disconnect="2026-01-01: link lost"),
    streams={
        "camera": StreamStatus(
            kind="camera",
            state="live",
            reason="",
            publication="published",
            width=1280,
            height=720,
            fps=29.97,
            bitrate_bps=2_450_000,
            dropped=1,
            drops={"late": 2, "sdk_busy": 1},
        ),
        "microphone": StreamStatus(
            kind="microphone",
            state="absent",
            reason="not\x1bconnected",
            publication="muted by the room",
            bitrate_bps=900,
        ),
    },
    board=BoardStatus(temperature_celsius=61.7, throttled=("under-voltage",)),
)
SPEAKER = SpeakerStatus(state="live", reason="", talkers=())


def test_the_status_as_text() -> None:
    assert commands.status_text(asdict(STATUS)).splitlines() == [
        "state          recovering",
        "room           live, wss://room",
        "camera         live, 1280x720 at 30 fps, 2.5 Mbit/s, dropped: 2 late, 1 sdk busy",
        "microphone     absent: not?connected, muted by the room, 1 kbit/s",
        "identity       front-door",
        "version        1.2.3 on Raspberry Pi 4 Model B",
        "running for    1 d 2 h",
        "last left      2026-01-01: link lost",
        "clock          -75 s from the server's",
        "board          62 degrees Celsius, under-voltage",
        "configuration  applied at 10:00:00 UTC: camera.fps",
    ]


@pytest.mark.parametrize(
    ("speaker", "text"),
    (
        (None, []),
        (SPEAKER, ["live"]),
        (replace(SPEAKER, talkers=("anna", "b\x1bob")), ["live, anna, b?ob talking"]),
        (replace(SPEAKER, state="absent", reason="no speaker is connected"), ["absent: no speaker is connected"]),
    ),
)
def test_the_speaker_is_shown_if_it_is_on(speaker: SpeakerStatus | None, text: list[str]) -> None:
    lines = commands.status_text(asdict(replace(STATUS, speaker=speaker))).splitlines()
    assert [line.removeprefix("speaker").strip() for line in lines if line.startswith("speaker")] == text


@pytest.mark.parametrize(
    ("seconds", "text"), ((0.4, "0 s"), (61, "1 min 1 s"), (3700, "1 h 1 min"), (86400 * 3 + 3600, "3 d 1 h"))
)
def test_durations(seconds: float, text: str) -> None:
    assert commands.duration_text(seconds) == text


def test_a_log_record_is_one_line() -> None:
    record = {"number": 7, "time": "t", "level": "info", "event": "a.b", "why": "x\ny"}
    assert commands.record_text(record) == "t info     a.b why=x?y"


def test_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setattr("device.control.place.SERVICE_RUNTIME", tmp_path)
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    config = tmp_path / "device.toml"
    for arguments in (
        ("status",),
        ("status", "--json"),
        ("logs",),
        ("rejoin",),
        ("privacy", "on"),
        ("snapshot", "a.jpg"),
        ("set", "camera.fps=5"),
        ("reset",),
        ("run", "lamp", "state=on"),
        ("config", "--running"),
    ):
        assert cli.main([*arguments, "--config", str(config)]) == 3
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.count("\n") == 1
        assert "livekit-device is not running" in shown.err


@pytest.mark.parametrize(
    ("text", "value"),
    (
        ("15", 15),
        ("-3.5", -3.5),
        ("true", True),
        ("[1.5, 2]", [1.5, 2]),
        ('"15"', "15"),
        ("Auto mode", "Auto mode"),
        ("", ""),
        ("a=b", "a=b"),
        ("1\nmore = 2", "1\nmore = 2"),
        ("{ x = 1 }", "{ x = 1 }"),
        ("2026-01-01", "2026-01-01"),
        ("[" * 10_000, "[" * 10_000),
    ),
)
def test_a_value_is_written_as_in_toml_and_else_a_text(text: str, value: object) -> None:
    assert set_commands.parsed([f"camera.controls.X = {text}"]) == {"camera.controls.X": value}


@pytest.mark.parametrize(
    ("assignments", "text"),
    ((["camera.fps"], 'camera.fps" is no assignment'), (["=5"], "no assignment"), (["a=1", "a=2"], "a is set twice")),
)
def test_what_is_no_assignment_is_said(assignments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["set", *assignments]) == 1
    assert text in capsys.readouterr().err
