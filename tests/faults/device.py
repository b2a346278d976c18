"""A daemon in the devices' namespace, with a viewer of its room."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.faults.viewer import Viewer, viewing
from tests.support.daemon import Daemon, environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from tests.faults.network import Network
    from tests.support.livekit_server import Server

FPS = 15
SMALL = {"DEVICE_CAMERA__WIDTH": "320", "DEVICE_CAMERA__HEIGHT": "180", "DEVICE_CAMERA__FPS": str(FPS)}
# For rows that count joins, which are logged at debug level only.
SILENT = {"DEVICE_MICROPHONE__SOURCE": "off", "DEVICE_LOG__LEVEL": "debug"}
_END_S = 6.0
_TEMPORARY_FAILURE = 75  # sysexits.h
_RESTART_S, _LOOK_EVERY_S = 1.0, 0.2
_TELLING = ("room.", "network.", "device.state")

Mark = tuple[int, int]  # the number of daemons so far, the lines of the last one
BEGINNING: Mark = (0, 0)


@dataclass(slots=True, kw_only=True)
class Device:
    """`variables` are the daemon's environment, `wrapper` is a command that starts it."""

    room: str
    viewer: Viewer
    config: Path
    network: Network
    variables: dict[str, str]
    wrapper: Sequence[str] = ()
    neighbour: bool = False  # it counts as another machine in a network namespace of its own
    daemons: list[Daemon] = field(default_factory=list)
    started_at: float = 0.0

    @property
    def daemon(self) -> Daemon:
        return self.daemons[-1]

    @property
    def alive(self) -> bool:
        return self.daemon.process.poll() is None

    def start(self) -> None:
        command = [*self.wrapper, sys.executable, "-m", "device", "run", "--config", str(self.config)]
        self.started_at = time.monotonic()
        box = self.network.neighbour if self.neighbour else self.network.devices
        process = subprocess.Popen(
            box.inside("setpriv", "--pdeathsig", "KILL", *command),
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.daemons.append(Daemon(process))

    def kill(self) -> None:
        """Kill it, like a power failure; its workers end with it."""
        self.daemon.process.kill()
        self.daemon.process.wait()
        self.daemon.close()

    def end(self) -> None:
        process = self.daemon.process
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.daemon.close()

    def mark(self) -> Mark:
        """Return a position in the log, for `since` and `events`."""
        return (len(self.daemons), len(self.daemon.lines))

    def since(self, mark: Mark, event: str = "", **fields: object) -> list[dict[str, Any]]:
        """Return the log lines from a position on, of all daemons since then, with this event and these fields."""
        daemons, lines = mark
        all_lines = [
            *(self.daemons[daemons - 1].lines[lines:] if daemons else ()),
            *(line for daemon in self.daemons[daemons:] for line in daemon.lines),
        ]
        return [line for line in all_lines if event in ("", line.get("event")) and fields.items() <= line.items()]

    def events(self, mark: Mark = BEGINNING) -> Counter[str]:
        """Count the daemon's log events about room and network, each with its reason or new state."""
        events = Counter(_name(line) for line in self.since(mark) if _is_counted(line))
        if again := len(self.daemons) - max(mark[0], 1):
            events["daemon started again"] += again
        return events

    async def keep(self) -> None:
        """Restart it after an exit that requires it, like systemd (RestartSec=1), until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            if self.daemons and self.daemon.process.poll() == _TEMPORARY_FAILURE:
                await asyncio.sleep(_RESTART_S)
                self.start()

    def full_rate(self, *, over_s: float) -> bool:
        """Return whether nearly all pictures of the last seconds have arrived, and the sound."""
        since = time.monotonic() - over_s
        pictures = sum(each.at > since for each in self.viewer.pictures[-200:])
        heard = self.variables.get("DEVICE_MICROPHONE__SOURCE") == "off" or any(
            at > since for at in self.viewer.sound[-1:]
        )
        return pictures >= 0.8 * FPS * over_s and heard


def _is_counted(line: dict[str, Any]) -> bool:
    return str(line.get("event", "")).startswith(_TELLING)


def _name(line: dict[str, Any]) -> str:
    detail = line.get("reason") or line.get("culprit") or line.get("new") or line.get("state") or ""
    return f"{line['event']}({detail})" if detail else str(line["event"])


@contextlib.asynccontextmanager
async def device(
    network: Network,
    servers: Sequence[Server],
    folder: Path,
    *,
    room: str = "",
    wrapper: Sequence[str] = (),
    **variables: str,
) -> AsyncIterator[Device]:
    """Create a device and watch its room; the caller starts it."""
    room = room or new_room()
    async with (
        viewing(servers, room) as viewer,
        prepared(network, servers[0], folder, viewer=viewer, room=room, wrapper=wrapper, variables=variables) as made,
    ):
        yield made


def new_room() -> str:
    """Return a name that no other room has."""
    return f"room-{uuid.uuid4().hex[:8]}"


@contextlib.asynccontextmanager
async def prepared(
    network: Network,
    server: Server,
    folder: Path,
    *,
    viewer: Viewer,
    room: str,
    variables: Mapping[str, str],
    wrapper: Sequence[str] = (),
    neighbour: bool = False,
) -> AsyncIterator[Device]:
    """Create a device for the caller to start, with a viewer that may run."""
    config = folder / "device.toml"
    config.touch()
    made = Device(
        room=room,
        viewer=viewer,
        config=config,
        network=network,
        variables=environment(server, room, **(SMALL | dict(variables)))
        | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        wrapper=wrapper,
        neighbour=neighbour,
    )
    keeping = asyncio.create_task(made.keep())
    try:
        yield made
    finally:
        keeping.cancel()
        if made.daemons:
            made.end()
