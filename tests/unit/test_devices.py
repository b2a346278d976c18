"""`livekit-device devices`: errors of drivers and names of devices are shown safely."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from device import devices
from device.errors import SourceError
from tests.support.v4l2_cameras import META, STREAMING, Camera, Tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def raising(error: Exception) -> Callable[[], list[dict[str, Any]]]:
    def ask() -> list[dict[str, Any]]:
        raise error

    return ask


@pytest.mark.parametrize(
    ("error", "said"),
    (
        (SourceError("rtsp://admin:hunter2@192.0.2.7: is away"), "rtsp://[redacted]@192.0.2.7: is away"),
        (SourceError(""), "the source cannot be read"),
        (OSError(19, "hunter2"), "the system failed: No such device"),
        (RuntimeError("api_secret=hunter2"), "the library failed (RuntimeError)"),
    ),
)
@pytest.mark.parametrize("as_json", (False, True))
def test_an_error_has_a_text_of_our_own(
    error: Exception,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    as_json: bool,
) -> None:
    monkeypatch.setattr(devices, "_cameras", raising(error))
    assert devices.run(as_json=as_json) == 0
    out = capsys.readouterr().out
    assert "hunter2" not in out
    assert json.loads(out)["cameras"] == said if as_json else f"cameras\n  none: {said}\n" in out


def test_control_characters_in_a_device_name_are_replaced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(devices, "_cameras", lambda: [{"name": "cam\x1b[2J\n", "number": 0}])
    devices.run(as_json=False)
    assert "  cam?[2J?, number 0\n" in capsys.readouterr().out


def test_v4l2_cameras_are_listed_with_formats_and_controls(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.plug("video0", Camera(card="Metadata", capabilities=META | STREAMING))
    tree.plug("video1", Camera(serial="8F2A", modes=("YUYV 320 240 0 30,15", "MJPG 1280 720 0 30")))
    tree.plug("video2", Camera(card="unicam", driver="unicam"))
    shown, written = (
        subprocess.run(
            [sys.executable, "-m", "device", "devices", *options],
            env=os.environ | tree.environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout
        for options in ((), ("--json",))
    )
    link = "/dev/v4l/by-id/usb-HD_Webcam_8F2A-video-index0"
    assert f"V4L2 cameras\n  HD Webcam, node /dev/video1, serial 8F2A, link {link}\n    formats\n" in shown
    assert "      YUYV 320x240 at 30, 15 fps\n      MJPG 1280x720 at 30 fps\n    controls\n" in shown
    assert "      power_line_frequency: 0: Disabled, 1: 50 Hz, 2: 60 Hz (default 1), now 1\n" in shown
    [camera] = json.loads(written)["v4l2_cameras"]
    assert camera["formats"][0]["rates"] == [30, 15]
    assert {each["name"]: each["kind"] for each in camera["controls"]}["privacy"] == "boolean"
