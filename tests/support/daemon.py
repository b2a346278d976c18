"""The daemon under test: the real command, its log lines as objects, and a guaranteed end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from livekit import api

from tests.support.children import alive, living_descendants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.support.livekit_server import Server

_LINE = re.compile(r"(?:<\d>)?(\{.*\})")  # with or without the journal's prefix
_PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
_END_S = 20.0

SYNTHETIC = {"DEVICE_CAMERA__SOURCE": "pattern", "DEVICE_MICROPHONE__SOURCE": "tone"}


class Daemon:
    """A running `livekit-device run`; `until` waits for a log line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self.text: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, name="daemon-log", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def until(self, holds: Callable[[dict[str, Any]], bool], *, within_s: float, since: int = 0) -> dict[str, Any]:
        """Return the first log line from number `since` on that `holds` accepts, waiting for it."""
        give_up_at = time.monotonic() + within_s
        with self._news:
            while True:
                for line in self.lines[since:]:
                    if holds(line):
                        return line
                left_s = give_up_at - time.monotonic()
                if left_s <= 0 or not self._news.wait(left_s):
                    raise AssertionError(f"no such line within {within_s} s:\n" + "\n".join(self.text[-30:]))

    def event(self, name: str, *, within_s: float = 20.0, since: int = 0, **fields: object) -> dict[str, Any]:
        """Return the first log line with this event and these fields."""
        return self.until(
            lambda line: line.get("event") == name and fields.items() <= line.items(), within_s=within_s, since=since
        )

    def worker(self, name: str) -> int:
        """Return the process id of a worker."""
        for pid in living_descendants(self.pid):
            with open(f"/proc/{pid}/cmdline", "rb") as file:  # no Path is needed  # noqa: PTH123
                if f"device.workers.{name}".encode() in file.read():
                    return pid
        raise AssertionError(f"there is no {name} worker")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; return the exit code and how long it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(_END_S)
        return code, time.monotonic() - began

    def close(self) -> None:
        """Wait for the last line; the workers have copies of the pipe until they end."""
        self._reader.join(_END_S)
        assert self.process.stderr
        self.process.stderr.close()

    def _read(self) -> None:
        assert self.process.stderr
        for text in self.process.stderr:
            match = _LINE.fullmatch(text.rstrip("\n"))
            with self._news:
                self.text.append(text.rstrip("\n"))
                if match:
                    line = json.loads(match[1])
                    self.lines.append(line | {"priority": _PRIORITIES[line["level"]]})
                self._news.notify_all()


def environment(server: Server, room: str, **extra: str) -> dict[str, str]:
    """Return the environment of a daemon with key and secret, with synthetic sources."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("DEVICE_") and not name.upper().endswith("_PROXY")
    }
    return (
        clean
        | SYNTHETIC
        | {
            "DEVICE_ROOM__URL": server.url,
            "DEVICE_ROOM__NAME": room,
            "DEVICE_ROOM__IDENTITY": "device",
            "DEVICE_CREDENTIALS__API_KEY": server.api_key,
            "DEVICE_CREDENTIALS__API_SECRET": server.api_secret,
            "DEVICE_LOG__FORMAT": "json",
        }
        | extra
    )


def with_ready_token(server: Server, room: str, path: Path, *, can_publish: bool = True) -> dict[str, str]:
    """Write a ready token to a file; return the environment of a daemon with this token and synthetic sources."""
    grants = api.VideoGrants(room_join=True, room=room, can_publish=can_publish, can_update_own_metadata=True)
    token = api.AccessToken(server.api_key, server.api_secret).with_identity("device").with_grants(grants)
    path.write_text(token.to_jwt())
    ready = {
        "DEVICE_CREDENTIALS__API_KEY": "",
        "DEVICE_CREDENTIALS__API_SECRET": "",
        "DEVICE_CREDENTIALS__TOKEN_FILE": str(path),
    }
    return environment(server, room) | ready


# The environment of a daemon whose server is unreachable.
SERVERLESS = {
    "DEVICE_ROOM__URL": "ws://127.0.0.1:1",
    "DEVICE_ROOM__NAME": "front-door",
    "DEVICE_CREDENTIALS__API_KEY": "key",
    "DEVICE_CREDENTIALS__API_SECRET": "zq-a-secret-of-thirty-two-characters",
    "DEVICE_LOG__FORMAT": "json",
}


def start_altered(program: str, config: Path, variables: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start `program`, which runs the daemon's command with a change, and with an empty configuration file.

    The test sends commands to its standard input.
    """
    config.write_text("")
    return subprocess.Popen(
        [sys.executable, "-c", program, "run", "--config", str(config)],
        env=variables,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@contextmanager
def running_altered(program: str, config: Path, variables: Mapping[str, str]) -> Iterator[Daemon]:
    """Run `program` as `start_altered` does; kill it afterwards."""
    process = start_altered(program, config, variables)
    daemon = Daemon(process)
    try:
        yield daemon
    finally:
        assert process.stdin
        process.stdin.close()
        process.kill()
        process.wait()
        daemon.close()


@contextmanager
def running(config: Path, variables: Mapping[str, str]) -> Iterator[Daemon]:
    """Run the daemon in a process group of its own; afterwards no daemon and no worker is alive."""
    process = subprocess.Popen(
        [sys.executable, "-m", "device", "run", "--config", config],
        env=variables,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    daemon = Daemon(process)
    try:
        yield daemon
    finally:
        children = living_descendants(process.pid)
        if process.poll() is None:
            daemon.stop()
        give_up_at = time.monotonic() + _END_S
        while left := {pid for pid in children if alive(pid)}:
            if time.monotonic() > give_up_at:
                raise AssertionError(f"workers {left} outlive the daemon")
            time.sleep(0.02)
        daemon.close()
