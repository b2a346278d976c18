"""A service that has no configuration yet, as its service manager sees it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from device.config import environment, loading, places
from device.config.places import is_set_up
from device.lifecycle import not_set_up
from tests.support.children import living_descendants

if TYPE_CHECKING:
    from collections.abc import Iterator

# Runs the command with another default path: this machine may have a configuration.
PROGRAM = """
import sys
from pathlib import Path
from device import cli
from device.config import places
places.DEFAULT_PATH = Path(sys.argv.pop(1))
sys.exit(cli.main())
"""
HEAVY = ("livekit", "pydantic", "numpy", "aiohttp", "av")


@contextmanager
def service(default: Path, notify: Path, *arguments: str, **extra: str) -> Iterator[subprocess.Popen[str]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DEVICE_")}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(default), "run", *arguments],
        env=clean | {"NOTIFY_SOCKET": str(notify), "WATCHDOG_USEC": "300000"} | extra,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def manager(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        listening.settimeout(20)
        yield listening


def loaded(pid: int) -> set[str]:
    """Return which of the heavy packages a process has mapped; each has a native library."""
    mapped = Path(f"/proc/{pid}/maps").read_text()
    return {name for name in HEAVY if f"/site-packages/{name}" in mapped}


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT))
def test_it_is_ready_says_what_to_do_feeds_the_watchdog_and_ends_in_order(
    tmp_path: Path, number: signal.Signals
) -> None:
    with (
        manager(tmp_path / "notify") as told,
        service(tmp_path / "device.toml", tmp_path / "notify") as process,
    ):
        assert told.recv(999).decode() == 'STATUS=not set up: run "sudo livekit-device setup"'
        assert told.recv(999) == b"READY=1"
        assert [told.recv(999) for _ in range(4)] == [b"WATCHDOG=1"] * 4
        assert not living_descendants(process.pid)
        assert not loaded(process.pid)
        began = time.monotonic()
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
        took_s = time.monotonic() - began
        while (message := told.recv(999)) == b"WATCHDOG=1":
            pass
        assert message == b"STOPPING=1"
    assert process.returncode == 0
    assert took_s < 2
    assert "daemon.not_set_up" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("content", ("", "[room\n", "[room]\nurl = 3\n"))
def test_a_default_file_that_is_wrong_is_a_mistake(tmp_path: Path, content: str) -> None:
    (tmp_path / "device.toml").write_text(content)
    argument = ("--config", str(tmp_path / "device.toml"))
    with service(tmp_path / "none.toml", tmp_path / "nobody", *argument) as process:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 78
        assert str(tmp_path / "device.toml") in err


def test_a_missing_file_that_is_named_is_a_mistake(tmp_path: Path) -> None:
    missing = str(tmp_path / "elsewhere.toml")
    for arguments, variables in ((("--config", missing), {}), ((), {"DEVICE_CONFIG": missing})):
        with service(tmp_path / "device.toml", tmp_path / "nobody", *arguments, **variables) as process:
            _, err = process.communicate(timeout=60)
            assert process.returncode == 78
            assert f"{missing}: there is no such file" in err


def test_what_counts_as_set_up(tmp_path: Path) -> None:
    absent, there, folder = tmp_path / "absent", tmp_path / "there", tmp_path / "folder"
    there.touch()
    folder.mkdir()
    (tmp_path / "dangling").symlink_to(absent)
    for expected, argument, variables, default in (
        (False, None, {}, absent),
        (False, None, {}, tmp_path / "no-folder/device.toml"),
        (False, None, {"DEVICE_CONFIG": ""}, absent),
        (False, None, {"DEVICE_ROOM__URL": " "}, absent),
        (False, None, {"DEVICE_CAMERA__FPS": "15", "DEVICE_ROOMS": "1"}, absent),
        (True, None, {}, there),
        (True, None, {}, folder),
        (True, None, {}, tmp_path / "dangling"),
        (True, None, {}, there / "no-folder"),
        (True, absent, {}, absent),
        (True, None, {"DEVICE_CONFIG": "/nowhere"}, absent),
        (True, None, {"DEVICE_ROOM__URL": "wss://room.example"}, absent),
        (True, None, {"device_room__name": "front-door"}, absent),
    ):
        assert is_set_up(argument, variables, default=default) is expected, (argument, variables, default)


def test_looking_and_loading_agree_on_where() -> None:
    assert loading.find(None) == Path(os.environ.get("DEVICE_CONFIG") or places.DEFAULT_PATH)
    assert {places.PATH_VARIABLE, "DEVICE_ROOM__URL"} <= set(environment._known_variables())


def test_the_status_is_the_one_that_documentation_names() -> None:
    assert not_set_up.STATUS == 'not set up: run "sudo livekit-device setup"'


def test_a_reload_starts_it_if_there_is_a_configuration_by_then(tmp_path: Path) -> None:
    default, address = tmp_path / "device.toml", tmp_path / "notify"
    with manager(address) as messages, service(default, address) as process:

        def until(text: str) -> str:
            while not (found := messages.recv(4096).decode()).startswith(text):
                pass
            return found

        until("READY=1")
        process.send_signal(signal.SIGHUP)
        assert "\nMONOTONIC_USEC=" in until("RELOADING=1")
        until("READY=1")
        assert process.poll() is None
        default.write_text("")
        process.send_signal(signal.SIGHUP)
        until("RELOADING=1")
        until("READY=1")
        assert process.wait(10) == 75  # the service manager starts it again
