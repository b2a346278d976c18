"""livekit-server on the core network, with ICE over TCP; one node, or two with a redis."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tests.faults.moments import Moment
from tests.faults.network import HOST
from tests.support.children import end
from tests.support.livekit_server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ServerT = TypeVar("ServerT", bound="Node")

REDIS_PORT = 6379
_START_S = 15.0
_POLL_S = 0.005
_SECOND_SIGNAL_S = 0.1  # a signal together with the first one is lost
_FORCED_S = 5.0


@dataclass(slots=True, kw_only=True)
class Node(Server):
    """A server of this harness: its port for HTTP, the next one for ICE over TCP, the one after for UDP."""

    redis: str = ""

    @property
    def port(self) -> int:
        return self.ports[0]

    @property
    def url(self) -> str:
        return f"ws://{HOST}:{self.port}"

    def configuration(self) -> str:
        redis = f"redis: {{address: {self.redis}}}\n" if self.redis else ""
        return f"""\
port: {self.port}
bind_addresses: [{HOST}]
keys: {{{self.api_key}: {self.api_secret}}}
logging: {{level: info}}
{redis}rtc:
  tcp_port: {self.port + 1}
  udp_port: {self.ports[1]}
  use_external_ip: false
  node_ip: {HOST}
  interfaces: {{includes: [core]}}
"""

    async def back(self) -> Moment:
        """Start it again; return the time at which its port was open."""
        process = self.launch()
        give_up_at = time.monotonic() + _START_S
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(HOST, self.port)
                moment = Moment.now()
                writer.close()
                return moment
            if process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError((self.folder / "livekit-server.log").read_text(errors="replace")[-2000:])
            await asyncio.sleep(_POLL_S)

    async def force_down(self) -> Moment:
        """Shut it down without waiting for its participants; return the time of the second signal."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(_SECOND_SIGNAL_S)
        process.send_signal(signal.SIGTERM)
        moment = Moment.now()
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(process.wait, _FORCED_S)
        self.kill()
        return moment

    def signal(self, number: signal.Signals) -> Moment:
        self._running().send_signal(number)
        return Moment.now()

    def _running(self) -> subprocess.Popen[bytes]:
        assert self.process
        return self.process


def node(port: int, *, redis: str = "", secret: str = "") -> contextlib.AbstractContextManager[Node]:
    """Run a node on this port and the two after it."""
    return started(Node, port, redis=redis, **({"api_secret": secret} if secret else {}))


@contextlib.contextmanager
def started(kind: Callable[..., ServerT], port: int, **options: str) -> Iterator[ServerT]:
    """Run a server of a kind, with HTTP on this port and UDP two after it."""
    with tempfile.TemporaryDirectory(prefix="faults-server-") as folder:
        running = kind(ports=(port, port + 2), folder=Path(folder), **options)
        running.start()
        try:
            yield running
        finally:
            running.kill()


@contextlib.contextmanager
def two_nodes(first: int, second: int) -> Iterator[tuple[Node, Node]]:
    """Run two nodes that are connected by a redis."""
    with tempfile.TemporaryDirectory(prefix="faults-redis-") as folder:
        arguments = {"port": str(REDIS_PORT), "bind": HOST, "dir": folder, "save": "", "protected-mode": "no"}
        redis = subprocess.Popen(
            [
                "setpriv",
                "--pdeathsig",
                "KILL",
                "redis-server",
                *(part for key, value in arguments.items() for part in (f"--{key}", value)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            _until_open(REDIS_PORT, redis)
            address = f"{HOST}:{REDIS_PORT}"
            with node(first, redis=address) as one, node(second, redis=address, secret=one.api_secret) as other:
                yield one, other
        finally:
            end(redis)


def _until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    import socket

    give_up_at = time.monotonic() + _START_S
    while True:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
            return
        if process.poll() is not None or time.monotonic() > give_up_at:
            raise RuntimeError("redis-server did not start")
        time.sleep(0.02)
