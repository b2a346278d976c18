"""`make run`: a server, the daemon and the viewer page on loopback, until Ctrl-C."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
import tomllib
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.children import die_with_parent, end
from tests.support.livekit_server import Server, livekit_server
from tests.support.ports import free_port

if TYPE_CHECKING:
    from types import FrameType

_VIEWER_PORT = 8080
_ROOM = "make-run"


def main() -> int:
    config = Path(sys.argv[1])
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _as_ctrl_c)
    try:
        with ExitStack() as stack:
            server = stack.enter_context(livekit_server())
            return _publish_and_watch(config, server, stack)
    except KeyboardInterrupt:
        return 0


def _as_ctrl_c(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _publish_and_watch(config: Path, server: Server, stack: ExitStack) -> int:
    environment = os.environ | {
        "DEVICE_ROOM__URL": server.url,
        "DEVICE_ROOM__NAME": _room_of(config) or _ROOM,
        "DEVICE_CREDENTIALS__API_KEY": server.api_key,
        "DEVICE_CREDENTIALS__API_SECRET": server.api_secret,
        "DEVICE_CREDENTIALS__API_SECRET_FILE": "",
        "DEVICE_CREDENTIALS__TOKEN_FILE": "",
        "DEVICE_CREDENTIALS__ENDPOINT": "",
        "DEVICE_CREDENTIALS__ENDPOINT_HEADERS_FILE": "",
    }
    command = [sys.executable, "-m", "device"]
    daemon = subprocess.Popen(
        [*command, "run", "--config", config],
        env=environment,
        stdin=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )
    stack.callback(end, daemon)
    viewer = subprocess.Popen(
        [*command, "viewer", "--config", config, "--bind", f"127.0.0.1:{free_port(_VIEWER_PORT)}"],
        env=environment | {"DEVICE_LOG__LEVEL": "warning"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,
    )
    stack.callback(end, viewer)
    lines: queue.Queue[str] = queue.Queue()
    assert viewer.stdout
    threading.Thread(target=lambda: lines.put(viewer.stdout.readline()), daemon=True).start()  # type: ignore[union-attr]
    while daemon.poll() is None and viewer.poll() is None:
        try:
            if url := lines.get_nowait().strip():
                print(f"\n    Open {url} to see and hear it; Ctrl-C ends it.\n", flush=True)
        except queue.Empty:
            pass
        time.sleep(0.1)
    # A viewer that ends by itself has printed why.
    return daemon.returncode if daemon.returncode is not None else viewer.returncode


def _room_of(config: Path) -> str:
    """Return the room that a configuration names. Errors in the file are left to the daemon, which reports them."""
    try:
        return str(tomllib.loads(config.read_text()).get("room", {}).get("name", ""))
    except (OSError, ValueError, AttributeError):
        return ""


if __name__ == "__main__":
    sys.exit(main())
