"""A livekit-server on loopback, from PATH or built once into the user's cache."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = "v1.13.5"
_MODULE = f"github.com/livekit/livekit-server/cmd/server@{VERSION}"
_START_S = 15.0
_PREFERRED_PORTS = (7880, 7882)


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "livekit-device"


def binary() -> Path:
    """Return the livekit-server on PATH, else the one in the cache, which is built the first time."""
    if found := shutil.which("livekit-server"):
        return Path(found)
    kept = cache_folder() / f"livekit-server-{VERSION}" / "livekit-server"
    if not kept.exists():
        _build(kept)
    return kept


def _build(target: Path) -> None:
    if not (go := shutil.which("go")):
        sys.exit("livekit-server is not on PATH, and go, to build it, is neither: install one of them")
    print(
        f"building livekit-server {VERSION} into {target.parent}: about two minutes, once",
        file=sys.stderr,
        flush=True,
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        # GOBIN cannot be used with a cross-compiling environment.
        environment = {name: value for name, value in os.environ.items() if name not in ("GOOS", "GOARCH")}
        # Everything that go downloads stays in this folder and is removed with it.
        environment |= {
            "GOBIN": folder,
            "GOPATH": f"{folder}/go",
            "GOCACHE": f"{folder}/build",
            "GOFLAGS": "-modcacherw",
        }
        subprocess.run([go, "install", _MODULE], check=True, env=environment, stdin=subprocess.DEVNULL)
        (Path(folder) / "server").replace(target)


@dataclass(slots=True, kw_only=True)
class Server:
    """A running server. After `kill`, `start` uses the same ports and keys.

    Media goes through `interface`, whose address is `address`.
    """

    ports: tuple[int, int]
    folder: Path
    address: str = "127.0.0.1"
    interface: str = "lo"
    api_key: str = "devkey"
    api_secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"ws://{self.address}:{self.ports[0]}"

    def configuration(self) -> str:
        http, udp = self.ports
        return f"""\
port: {http}
bind_addresses: ["{self.address}"]
keys: {{{self.api_key}: {self.api_secret}}}
logging: {{level: info}}
room: {{enable_remote_unmute: true}}
rtc:
  tcp_port: 0  # it would listen on every interface
  udp_port: {udp}
  use_external_ip: false
  node_ip: {self.address}
  enable_loopback_candidate: true
  interfaces: {{includes: [{self.interface}]}}
"""

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the server without waiting for it."""
        config = self.folder / "livekit.yaml"
        config.touch(mode=0o600)
        config.write_text(self.configuration())
        with (self.folder / "livekit-server.log").open("ab") as log:
            self.process = subprocess.Popen(
                # Not with preexec_fn: a fork that runs Python may hang if the SDK's threads run.
                ["setpriv", "--pdeathsig", "KILL", binary(), "--config", config],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.process

    def start(self) -> None:
        """Start the server and wait until it answers."""
        process = self.launch()
        give_up_at = time.monotonic() + _START_S
        while not self._answers():
            if process.poll() is not None or time.monotonic() > give_up_at:
                text = (self.folder / "livekit-server.log").read_text(errors="replace")
                self.kill()
                raise RuntimeError(f"livekit-server did not start:\n{text[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End the server at once, like a power failure."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url.replace('ws', 'http', 1)}/", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@contextlib.contextmanager
def livekit_server(
    *, prefer: tuple[int, int] = _PREFERRED_PORTS, address: str = "127.0.0.1", interface: str = "lo"
) -> Iterator[Server]:
    """Run a server on the preferred ports, or on free ones if those are in use."""
    http, udp = prefer
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="running-server-", dir=cache_folder()) as folder:
        ports = (free_port(http), free_port(udp, socket.SOCK_DGRAM))
        server = Server(ports=ports, folder=Path(folder), address=address, interface=interface)
        server.start()
        try:
            yield server
        finally:
            server.kill()


if __name__ == "__main__":
    # `make test` builds the server before the tests, because their time limits are too short for that.
    binary()
