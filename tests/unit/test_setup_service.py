"""Setup waits for the service for a limited time, shows its progress, and reports why it does not go live."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING

import pytest

from device.setup.service import Service
from device.setup.terminal import Terminal
from device.telemetry.state_file import StateFile

if TYPE_CHECKING:
    from pathlib import Path

WAITING = {"state": "connecting", "room": "waiting: the server refused the token", "camera": "live"}
LIVE = {"state": "live", "room": "live", "camera": "live"}


@pytest.fixture
def state(tmp_path: Path) -> StateFile:
    folder = tmp_path / "run/livekit-device"
    folder.mkdir(parents=True)
    return StateFile(folder / "state.json")


@pytest.fixture
def shown() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def service(tmp_path: Path, shown: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))  # neither systemctl nor journalctl
    return Service(tmp_path, Terminal(stdin=io.StringIO(), stdout=shown))


def test_the_reason_for_not_being_live_is_reported(service: Service, state: StateFile, shown: io.StringIO) -> None:
    state.write(WAITING)
    assert not service.wait_live(within_s=0.3)
    text = shown.getvalue()
    assert "not live after 0 s" in text
    assert "  room: waiting: the server refused the token\n" in text
    assert "  camera: " not in text  # that is well
    assert "livekit-device check" in text


def test_each_change_is_shown_once(service: Service, state: StateFile, shown: io.StringIO) -> None:
    state.write(WAITING)
    later = threading.Timer(0.6, lambda: state.write(LIVE))
    later.start()
    assert service.wait_live(within_s=30)
    later.join()
    assert shown.getvalue().count("room waiting") == 1
    assert shown.getvalue().endswith("  live: everything is published in the room\n")


def test_a_service_that_does_not_run_is_reported(service: Service, shown: io.StringIO) -> None:
    assert not service.wait_live(within_s=0.0)
    assert "The service is not running" in shown.getvalue()


def test_without_systemd_there_is_no_unit(service: Service, tmp_path: Path) -> None:
    assert not service.exists()
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert not service.exists()


def test_a_manager_that_fails_is_quoted(
    service: Service, tmp_path: Path, shown: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/systemctl").write_text("#!/bin/sh\necho Job failed, api_secret=zq-hunter2-hunter2\nexit 1\n")
    (tmp_path / "bin/systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    assert not service.start()
    assert "The service does not start: Job failed, api_secret=[redacted]\n" in shown.getvalue()
