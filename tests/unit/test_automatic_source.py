"""`source = "auto"`: what is chosen, and whether its absence is a fault; picamera2 and PyAudio are not installed."""

from __future__ import annotations

import io
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from device.check import hardware
from device.check.report import Report
from device.errors import NotPresentError, SourceAbsentError, SourceError
from device.ipc.detected import Detected
from device.ipc.restart_policy import Action, RestartPolicy
from device.ipc.worker_state import WorkerState
from device.lifecycle.sd_notify import Notifier
from device.sources import automatic, picamera2, pyaudio
from device.sources.portaudio import PortAudioDevice
from device.sources.v4l2 import nodes
from device.streams.plan import plan_streams
from device.telemetry.attributes import Attributes
from device.telemetry.room_state import RoomState
from device.telemetry.state_file import StateFile
from device.telemetry.status import Status, nothing_connected_text
from tests.support.configs import config_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from device.config.effective import Config

CAMERA = {"Model": "imx219", "Id": "/base/i2c/imx219@10"}
MICROPHONE = PortAudioDevice(index=0, name="USB Audio: -", host="ALSA", channels=1, rate=48000, default=True)
CHOICES: tuple[Callable[[str, Path], str], ...] = (automatic.camera_source, automatic.microphone_source)


def config(**tables: dict[str, Any]) -> Config:
    return config_of({"room": {"url": "ws://127.0.0.1:7880", "name": "lab"}} | tables)


def show_device(root: Path, choose: Callable[[str, Path], str]) -> None:
    """Let the kernel show a device."""
    if choose is automatic.camera_source:
        (root / "sys/class/video4linux/video0").mkdir(parents=True)
        (root / "sys/class/video4linux/video0/name").write_text("rp1-cfe-csi2_ch0\n")
    else:
        (root / "dev/snd").mkdir(parents=True)
        (root / "dev/snd/pcmC1D0c").touch()


@pytest.fixture
def libraries(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """Return what the libraries list, which a test may change."""
    found: dict[str, list[Any]] = {"cameras": [], "microphones": [], "usb": []}
    monkeypatch.setattr(picamera2, "cameras", lambda: found["cameras"])
    monkeypatch.setattr(pyaudio, "microphones", lambda _audio=None: found["microphones"])
    monkeypatch.setattr(nodes, "cameras", lambda _root=None: (found["usb"], {}))
    return found


def test_a_device_that_a_library_lists_is_chosen(libraries: dict[str, list[Any]], tmp_path: Path) -> None:
    libraries |= {"cameras": [CAMERA], "microphones": [MICROPHONE]}
    assert automatic.camera_source("", tmp_path) == automatic.camera_source("imx", tmp_path) == "picamera2"
    assert automatic.microphone_source("", tmp_path) == automatic.microphone_source("usb", tmp_path) == "pyaudio"


def test_a_v4l2_camera_is_the_second_choice(
    libraries: dict[str, list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    libraries["usb"] = [nodes.Node(path="/dev/video9", card="HD Pro Webcam C920", driver="uvcvideo", bus="usb-1")]
    assert automatic.camera_source("", tmp_path) == automatic.camera_source("C920", tmp_path) == "v4l2"
    monkeypatch.setattr(hardware, "_v4l2_camera", lambda _table: "HD Pro Webcam C920 (/dev/video9)")
    text, failed = checked({})
    assert "HD Pro Webcam C920 (/dev/video9)" in text
    assert "x264, in software" in text
    assert not failed
    libraries["cameras"] = [CAMERA]
    assert automatic.camera_source("", tmp_path) == "picamera2"
    assert automatic.camera_source("C920", tmp_path) == "v4l2"
    monkeypatch.undo()  # picamera2 is missing
    monkeypatch.setattr(nodes, "cameras", lambda _root=None: (libraries["usb"], {}))
    assert automatic.camera_source("", tmp_path) == "v4l2"


def test_a_usb_camera_that_libcamera_lists_too_is_left_to_v4l2(libraries: dict[str, list[Any]], tmp_path: Path) -> None:
    usb = {"Model": "C920", "Id": "/base/scb/pcie@7d500000/pci@0,0/usb@0,0-1.2:1.0-046d:082d"}
    libraries["usb"] = [nodes.Node(path="/dev/video9", card="HD Pro Webcam C920", driver="uvcvideo", bus="usb-1")]
    libraries["cameras"] = [usb]
    assert automatic.camera_source("", tmp_path) == automatic.camera_source("C920", tmp_path) == "v4l2"
    libraries["cameras"] = [usb, CAMERA]
    assert automatic.camera_source("", tmp_path) == "picamera2"
    assert automatic.camera_source("C920", tmp_path) == "v4l2"


@pytest.mark.parametrize("wanted", ("1", "garden", "serial:7", "/dev/v4l/by-id/usb-1"))
def test_a_named_camera_that_is_away_is_absent_with_and_without_libcamera(wanted: str, tmp_path: Path) -> None:
    with pytest.raises(SourceAbsentError, match=r"cannot be imported.*; ") as raised:
        automatic.camera_source(wanted, tmp_path)
    assert not isinstance(raised.value, NotPresentError)


@pytest.mark.parametrize("choose", CHOICES)
@pytest.mark.usefixtures("libraries")
def test_no_device_at_all_is_not_present(choose: Callable[[str, Path], str], tmp_path: Path) -> None:
    with pytest.raises(NotPresentError):
        choose("", tmp_path)


@pytest.mark.parametrize("choose", CHOICES)
@pytest.mark.usefixtures("libraries")
def test_a_named_device_is_required(choose: Callable[[str, Path], str], tmp_path: Path) -> None:
    with pytest.raises(SourceError) as raised:
        choose("garden", tmp_path)
    assert not isinstance(raised.value, NotPresentError)


@pytest.mark.parametrize("choose", CHOICES)
@pytest.mark.usefixtures("libraries")
def test_a_device_that_is_in_use_or_broken_is_a_fault(choose: Callable[[str, Path], str], tmp_path: Path) -> None:
    show_device(tmp_path, choose)
    with pytest.raises(SourceError) as raised:
        choose("", tmp_path)
    assert not isinstance(raised.value, NotPresentError)


@pytest.mark.parametrize("choose", CHOICES)
def test_a_missing_library_is_a_fault_only_if_there_is_a_device(
    choose: Callable[[str, Path], str], tmp_path: Path
) -> None:
    with pytest.raises(NotPresentError, match="cannot be imported"):
        choose("", tmp_path)
    show_device(tmp_path, choose)
    with pytest.raises(SourceError, match="cannot be imported") as raised:
        choose("", tmp_path)
    assert not isinstance(raised.value, NotPresentError)


def test_what_is_required_and_what_is_a_device() -> None:
    both = {each.name: each for each in plan_streams(config())}
    assert [(each.required, each.is_device) for each in both.values()] == [(False, True), (False, True)]
    assert both["microphone"].processing
    named = plan_streams(config(camera={"device": "imx"}, microphone={"source": "pyaudio"}))
    assert [(each.required, each.is_device) for each in named] == [(True, True), (True, True)]
    synthetic = plan_streams(config(camera={"source": "pattern"}, microphone={"source": "tone"}))
    assert [(each.required, each.is_device) for each in synthetic] == [(True, False), (True, False)]


def test_nothing_present_is_tried_once_and_each_new_device_four_times() -> None:
    policy = RestartPolicy(stall_s=2, startup_s=30, first_s=10, uniform=lambda _low, high: high)
    now = 0.0

    def tries() -> int:
        nonlocal now
        for count in itertools.count():
            step = policy.next(now)
            if step.action is Action.WAIT:
                if step.until == float("inf"):
                    return count
                now = step.until
                assert policy.next(now).action is Action.SPAWN
            policy.spawned(now)
            now += 1
            policy.ended(now, not_present=True)
        raise AssertionError

    assert tries() == 1
    assert policy.next(now + 1e9).action is Action.WAIT
    policy.device_connected(now)
    assert tries() == 4


def status() -> tuple[Status, Attributes]:
    attributes = Attributes()
    return Status(attributes, Notifier(), StateFile(None)), attributes


@pytest.mark.parametrize(("microphone", "state"), ((WorkerState.LIVE, "live"), (WorkerState.STALLED, "recovering")))
def test_what_is_not_present_is_no_fault(microphone: WorkerState, state: str) -> None:
    device, attributes = status()
    device.room(RoomState.LIVE, "")
    device.worker("camera", WorkerState.NOT_PRESENT, "")
    device.worker("microphone", microphone, "")
    assert attributes.snapshot()["device.camera"] == "not present"
    assert attributes.snapshot()["device.state"] == state


def test_a_box_without_any_device_is_live_and_says_so(tmp_path: Path) -> None:
    state_file = StateFile(tmp_path / "state.json")
    device = Status(Attributes(), Notifier(), state_file)
    device.room(RoomState.LIVE, "")
    device.worker("camera", WorkerState.NOT_PRESENT, "")
    device.worker("microphone", WorkerState.NOT_PRESENT, "")
    assert '"no camera and no microphone are connected"' in (tmp_path / "state.json").read_text()
    device.worker("microphone", WorkerState.STARTING, "")
    assert "connected" not in (tmp_path / "state.json").read_text()
    assert nothing_connected_text(("camera",)) == "no camera is connected"


def checked(service: dict[str, Any]) -> tuple[str, bool]:
    report = Report(stream=io.StringIO())
    hardware.check(report, config(), service)
    assert isinstance(report.stream, io.StringIO)
    return report.stream.getvalue(), report.failed


@pytest.mark.usefixtures("libraries")
def test_check_passes_without_devices_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automatic, "_has_sensor", lambda _root: False)
    text, failed = checked({})
    assert not failed
    assert [line.split()[:4] for line in text.splitlines() if "not present" in line] == [
        ["-", name, "skipped:", "not"] for name in ("camera", "microphone")
    ]
    assert text.count("publishes one as soon as it is connected") == 2
    text, failed = checked({"pid": 7, "camera": "not present", "microphone": "not present"})
    assert not failed
    assert text.count("not present; the running service (pid 7)") == 2


@pytest.mark.usefixtures("libraries")
def test_check_fails_if_a_device_is_missing_that_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Detected()
    known.add("camera")
    monkeypatch.setattr(Detected, "of_service", lambda **_: known)
    text, failed = checked({})
    assert failed
    assert "absent, but this box had one before" in text
    assert 'set source = "off" in [camera]' in text
    assert "microphone" in text
    assert "[microphone]" not in text
