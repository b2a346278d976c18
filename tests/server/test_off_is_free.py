"""With all that is off by default off, the daemon has nothing of it: no module, no task, no thread, no descriptor."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import daemon as daemons
from tests.support.children import living_descendants
from tests.support.ports import free_port
from tests.support.sound_card import SoundCard

if TYPE_CHECKING:
    from tests.support.daemon import Daemon
    from tests.support.livekit_server import Server

_WITHIN_S = 30.0
# Runs the daemon, which writes what it has into a file at each SIGUSR1.
_PROGRAM = """
import asyncio, json, os, re, signal, sys, threading
def look(_number, _frame):
    tasks = [re.sub("^Task-[0-9]+$", each.get_coro().__qualname__, each.get_name()) for each in asyncio.all_tasks()]
    found = {"modules": sorted(sys.modules), "tasks": tasks, "threads": [each.name for each in threading.enumerate()]}
    with open(os.environ["LOOK"] + ".part", "w") as file:
        json.dump(found, file)
    os.replace(os.environ["LOOK"] + ".part", os.environ["LOOK"])
signal.signal(signal.SIGUSR1, look)
from device.cli import main
sys.exit(main(sys.argv[1:]))
"""
MODULES = {
    "control": ("device.control.room_interface", "device.control.permission"),
    "metrics": ("device.metrics", "prometheus_client"),
    "hooks": ("device.control.hooks", "device.commands.runner"),
    "speaker": ("device.speaker",),
    "when_unwatched": ("device.streams.watch_policy", "device.room.audience"),
}
TASKS = {"metrics", "metrics-http", "metrics-health", "speaker", "speaker-worker", "speaker-echo", "talkers"}
TASKS |= {"camera-watching", "audience"}
THREADS = {"MainThread", "deadlines", "native-output", "netlink", "signals"}
_OF_WORKERS = "asyncio-waitpid"  # a thread for each worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Had:
    """What a daemon had: modules, names of tasks and threads, descriptors, listening TCP sockets, worker processes."""

    modules: frozenset[str]
    tasks: frozenset[str]
    threads: frozenset[str]
    descriptors: int
    listening: int
    workers: int

    def loaded(self, feature: str) -> list[str]:
        return [each for each in self.modules if each.startswith(MODULES[feature])]


def looked_at(daemon: Daemon, path: Path) -> Had:
    daemon.process.send_signal(signal.SIGUSR1)
    give_up_at = time.monotonic() + _WITHIN_S
    while not path.exists():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)
    found: dict[str, Any] = json.loads(path.read_text())
    proc = Path(f"/proc/{daemon.pid}")
    links = [str(each.readlink()) for each in (proc / "fd").iterdir()]
    inodes = {each[len("socket:[") : -1] for each in links if each.startswith("socket:[")}
    lines = [line.split() for line in (proc / "net/tcp").read_text().splitlines()[1:]]
    return Had(
        modules=frozenset(found["modules"]),
        tasks=frozenset(found["tasks"]),
        threads=frozenset(each for each in found["threads"] if not each.startswith(_OF_WORKERS)),
        descriptors=len(links),
        listening=len([each for each in lines if each[3] == "0A" and each[9] in inodes]),
        workers=len(living_descendants(daemon.pid)),
    )


def had(server: Server, room: str, config: Path, folder: Path, **extra: str) -> Had:
    """Run a device until it is live and its speaker too, if it has one, and look at it."""
    folder.mkdir()
    variables = daemons.environment(server, room, RUNTIME_DIRECTORY=str(folder), LOOK=str(folder / "look"), **extra)
    with daemons.running_altered(_PROGRAM, config, variables) as daemon:
        daemon.event("device.state", new="live", within_s=_WITHIN_S)
        if "DEVICE_SPEAKER__SOURCE" in variables:
            daemon.event("worker.state", worker="speaker", new="live", within_s=_WITHIN_S)
        if "DEVICE_HOOKS__UNWATCHED" in variables:
            daemon.event("control.call", operation="run", within_s=_WITHIN_S)
        return looked_at(daemon, folder / "look")


def test_what_is_off_is_not_there(server: Server, room: str, config: Path, tmp_path: Path) -> None:
    card = SoundCard(tmp_path)
    everything = card.variables | {
        "DEVICE_SPEAKER__ALLOW": '["ops-*"]',
        "DEVICE_CONTROL__ALLOW": '[{"identity": "ops-*", "operations": ["status"]}]',
        "DEVICE_METRICS__BIND": f"127.0.0.1:{free_port()}",
        "DEVICE_METRICS__HEALTH": "true",
        "DEVICE_CAMERA__WHEN_UNWATCHED": "pause",
        "DEVICE_COMMANDS__LAMP__RUN": '["/bin/true"]',
        "DEVICE_HOOKS__WATCHED": "lamp",
        "DEVICE_HOOKS__UNWATCHED": "lamp",
    }
    off = had(server, room, config, tmp_path / "off")
    on = had(server, f"{room}-on", config, tmp_path / "on", **everything)
    for feature in MODULES:
        assert on.loaded(feature), feature  # so it would be seen
        assert off.loaded(feature) == []
    assert on.tasks >= TASKS
    assert not off.tasks & TASKS
    assert set(off.threads) == THREADS
    assert (off.listening, on.listening) == (0, 1)
    assert (off.workers, on.workers) == (2, 3)
    assert off.descriptors < on.descriptors
