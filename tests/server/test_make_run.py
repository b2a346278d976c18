"""`make run` for a new user: one URL, and no process left after Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from tests.support.children import alive, end, living_descendants

_ROOT = Path(__file__).parents[2]
_PREFERRED = (7880, 8080)


def test_make_run_prints_one_url_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with ExitStack() as stack:
        # The preferred ports are in use; it must choose others.
        for port in _PREFERRED:
            blocker = stack.enter_context(socket.socket())
            blocker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                blocker.bind(("127.0.0.1", port))
                blocker.listen()
            except OSError:
                continue  # another program uses the port already, which is as good
        output = tmp_path / "output"
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.run", "config/demo.toml"],
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=stack.enter_context(output.open("wb")),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        stack.callback(end, process)
        url = _wait(output, r"Open (http://\S+)")
        _wait(output, r'"new": "live", "event": "device.state"')
        port = int(url.rpartition(":")[2].strip("/"))
        assert port not in _PREFERRED
        with urllib.request.urlopen(url) as answer:
            assert b'<script src="page/start.js"' in answer.read()
        family = living_descendants(process.pid)
        assert len(family) == 5  # server, daemon, two workers, viewer
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(20) == 0
        assert time.monotonic() - began < 8  # measured: 0.7 s
        assert not [pid for pid in family if alive(pid)]
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port))
        assert b"Traceback" not in output.read_bytes()


def test_an_invalid_configuration_ends_make_run_with_the_daemons_error(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[camera]\nfps = 0\n")
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.run", tmp_path / "bad.toml"],
        cwd=_ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 78
    assert "camera.fps: is too small" in done.stderr


def _wait(output: Path, pattern: str) -> str:
    give_up_at = time.monotonic() + 60
    while not (match := re.search(pattern, output.read_text())):
        assert time.monotonic() < give_up_at, output.read_text()
        time.sleep(0.05)
    return match[match.re.groups]
