"""A real RTSP server on this machine, as an IP camera: it can be killed, stopped and started again."""

from __future__ import annotations

import signal
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

USER, PASSWORD = "admin", "hunter2-zq"
# GStreamer's bindings are packages of Debian, for its own Python.
DEBIAN_PYTHON = "/usr/bin/python3"
_SITE = Path(__file__).parent / "rtsp_site.py"


def h264_of(film: str) -> str:
    """Return the pipeline that sends a film's H.264 as it is."""
    return f'filesrc location="{film}" ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=0'


@dataclass(slots=True, kw_only=True)
class RtspSite:
    """A server with some streams. After `kill`, `start` uses the same port."""

    streams: Mapping[str, str]
    port: int
    protected: bool = False
    process: subprocess.Popen[str] | None = None

    def url(self, name: str, *, password: str = PASSWORD) -> str:
        user = f"{USER}:{password}@" if self.protected else ""
        return f"rtsp://{user}127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Start it and wait until it listens."""
        login = (USER, PASSWORD) if self.protected else ("", "")
        streams = [f"{name}={pipeline}" for name, pipeline in self.streams.items()]
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", DEBIAN_PYTHON, _SITE, str(self.port), *login, *streams],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the RTSP server did not start; run tests/prepare.sh")

    def freeze(self, *, on: bool) -> None:
        """Stop the process, whose connections stay open, or let it go on."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout
            self.process.stdout.close()
            self.process = None


@contextmanager
def rtsp_site(streams: Mapping[str, str], *, protected: bool = False) -> Iterator[RtspSite]:
    site = RtspSite(streams=streams, port=free_port(0), protected=protected)
    site.start()
    try:
        yield site
    finally:
        site.kill()
