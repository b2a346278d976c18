"""Which rows of `check` query a device, and which the running service; there is neither camera nor picamera2 here."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from device.check import hardware
from device.check.report import Report
from tests.support.configs import config_of
from tests.support.v4l2_cameras import Camera, Tree

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = config_of(
    {
        "room": {"url": "ws://127.0.0.1:7880", "name": "lab"},
        "camera": {"source": "picamera2"},
        "microphone": {"source": "pyaudio"},
    }
)


def rows(**service: object) -> tuple[dict[str, str], bool]:
    """Return the rows by name, and whether one failed."""
    report = Report(stream=io.StringIO())
    hardware.check(report, CONFIG, dict(service))
    assert isinstance(report.stream, io.StringIO)
    return {line.split()[1]: line for line in report.stream.getvalue().splitlines()}, report.failed


def test_without_a_service_the_devices_are_queried() -> None:
    found, _ = rows()
    assert list(found) == ["camera", "encoder", "microphone"]
    assert not any("running service" in line for line in found.values())


def test_devices_in_use_by_the_service_are_not_queried() -> None:
    found, failed = rows(pid=7, camera="live", microphone="live")
    assert not failed
    assert {name: line.split()[0] for name, line in found.items()} == dict.fromkeys(
        ("camera", "encoder", "microphone"), "✓"
    )
    assert all("held by the running service (pid 7), whose state is: live" in line for line in found.values())


@pytest.mark.parametrize("said", ("starting", "restarting: the board's encoder failed"))
def test_the_encoder_is_not_queried_while_the_services_camera_is_not_live(said: str) -> None:
    found, failed = rows(pid=7, camera=said, microphone="live")
    assert failed
    assert found["camera"].startswith("✗ camera")
    assert found["encoder"].startswith("- encoder")
    assert all(said in found[name] for name in ("camera", "encoder"))


def test_the_encoder_is_queried_if_the_service_has_no_camera() -> None:
    found, _ = rows(pid=7, microphone="live")
    assert "held" in found["microphone"]
    assert not any("running service" in found[name] for name in ("camera", "encoder"))


def test_a_v4l2_camera_is_named_with_what_it_delivers(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.plug("video0", Camera(modes=("MJPG 640 480 0 30",)))
    program = """
import io, json
from device.check import hardware
from device.check.report import Report
from device.config.effective import Config
from tests.support.configs import config_of
found = []
night = {"enabled": True, "controls": {"gian": 1}}
for table in ({}, {"controls": {"gian": 1}}, {"night": night}, {"night": night | {"enabled": False}}):
    report = Report(stream=io.StringIO())
    camera = {"source": "v4l2", "device": "webcam"} | table
    room = {"url": "ws://127.0.0.1:7880", "name": "lab"}
    hardware.check(report, config_of(dict(room=room, camera=camera, microphone={"source": "off"})), {})
    found.append(" ".join(report.stream.getvalue().split()))
print(json.dumps(found))
"""
    good, bad, bad_at_night, unused = tree.run(program)
    assert unused == good
    assert good.startswith("✓ camera HD Webcam (/dev/video0), MJPG 640x480 at 30 fps (it does not offer 1280x720; ")
    assert good.endswith("; encoder: x264, in software")
    assert bad.startswith("✗ camera camera.controls.gian: this camera has no such control (did you mean gain?)")
    assert bad_at_night == bad.replace("camera.controls", "camera.night.controls")
