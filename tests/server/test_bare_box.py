"""A box without a camera and a microphone, and what is connected to it later."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.support import daemon as daemons
from tests.support.children import living_descendants
from tests.support.watcher import watching

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.livekit_server import Server

# The command, which looks for devices in another tree, named by a variable.
COMMAND = """
import os, sys
from pathlib import Path
from device.ipc import hotplug
present = hotplug.present
hotplug.present = lambda _root=None: present(Path(os.environ["LAB_ROOT"]))
from device.cli import main
sys.exit(main())
"""
# PyAudio, on a box whose microphone is connected while a file exists.
PYAUDIO = """
import math, os, struct, time
paInt16 = 8
FILE = os.environ["LAB_ROOT"] + "/microphone"
INFO = {"index": 0, "hostApi": 0, "name": "labmic", "maxInputChannels": 1, "defaultSampleRate": 48000.0}

class Stream:
    def __init__(self): self.number, self.began = 0, time.monotonic()
    def get_read_available(self): return 0
    def get_input_latency(self): return 0.02
    def read(self, frames, exception_on_overflow):
        self.number += frames
        time.sleep(max(0.0, self.began + self.number / 48000 - time.monotonic()))
        if not os.path.exists(FILE): raise OSError(-9999, "gone")
        phases = (2 * math.pi * 440 * each / 48000 for each in range(self.number - frames, self.number))
        return struct.pack(f"<{frames}h", *(round(8000 * math.sin(each)) for each in phases))

class PyAudio:
    def get_default_input_device_info(self): return INFO
    def get_device_count(self): return int(os.path.exists(FILE))
    def get_device_info_by_index(self, index): return INFO
    def get_host_api_info_by_index(self, index): return {"name": "lab"}
    def is_format_supported(self, *_, **__): return True
    def open(self, **_): return Stream()
"""


def until_alone(pid: int) -> None:
    """Wait until a process has no living child, for a second at most."""
    give_up_at = time.monotonic() + 1
    while living_descendants(pid) and time.monotonic() < give_up_at:
        time.sleep(0.01)


def test_it_is_live_without_a_worker_and_publishes_what_is_connected(
    server: Server, room: str, config: Path, tmp_path: Path
) -> None:
    root, state, modules = (tmp_path / name for name in ("root", "state", "modules"))
    for each in (root / "dev/snd", state, modules):
        each.mkdir(parents=True)
    (modules / "pyaudio.py").write_text(PYAUDIO)
    variables = daemons.environment(
        server, room, DEVICE_CAMERA__SOURCE="auto", DEVICE_MICROPHONE__SOURCE="auto", STATE_DIRECTORY=str(state)
    ) | {"LAB_ROOT": str(root), "PYTHONPATH": os.pathsep.join((str(modules), os.environ.get("PYTHONPATH", "")))}

    def connect() -> None:
        (root / "microphone").touch()
        (root / "dev/snd/pcmC1D0c").touch()

    async def scenario(daemon: daemons.Daemon) -> None:
        async with watching(server, room) as watcher:
            await asyncio.to_thread(daemon.event, "device.state", new="live")
            nothing = await asyncio.to_thread(daemon.event, "device.nothing_connected")
            assert nothing["what"] == "no camera and no microphone are connected"
            await watcher.until(
                lambda: watcher.attributes("device").get("device.state") == "live", within_s=10, what="live"
            )
            attributes = watcher.attributes("device")
            assert (attributes["device.camera"], attributes["device.microphone"]) == ("not present", "not present")
            assert list(watcher.room.remote_participants["device"].track_publications) == []
            # The worker has reported that there is no device, and its process may still be ending.
            await asyncio.to_thread(until_alone, daemon.pid)
            assert living_descendants(daemon.pid) == set()
            spawned = [line for line in daemon.lines if line["event"] == "worker.spawned"]
            await asyncio.sleep(2)
            assert [line for line in daemon.lines if line["event"] == "worker.spawned"] == spawned
            await asyncio.to_thread(connect)
            await watcher.until(lambda: len(watcher.sound) > 50, within_s=15, what="sound")
            await watcher.until(
                lambda: watcher.attributes("device")["device.microphone"] == "live", within_s=10, what="live"
            )
            assert watcher.attributes("device")["device.camera"] == "not present"
            assert json.loads((state / "detected.json").read_text()) == ["microphone"]
            (root / "microphone").unlink()  # from now on its absence is a fault
            await watcher.until(
                lambda: watcher.attributes("device")["device.microphone"].startswith("absent"),
                within_s=15,
                what="absent",
            )
            await watcher.until(
                lambda: watcher.attributes("device")["device.state"] == "recovering", within_s=10, what="recovering"
            )

    process = daemons.start_altered(COMMAND, config, variables)
    daemon = daemons.Daemon(process)
    try:
        asyncio.run(scenario(daemon))
        daemon.stop()
    finally:
        assert process.stdin
        process.stdin.close()
        process.kill()
        process.wait()
        daemon.close()


def test_check_passes_and_says_that_nothing_is_connected(
    server: Server, room: str, config: Path, tmp_path: Path
) -> None:
    variables = daemons.environment(
        server, room, DEVICE_CAMERA__SOURCE="auto", DEVICE_MICROPHONE__SOURCE="auto", STATE_DIRECTORY=str(tmp_path)
    )
    command = (sys.executable, "-m", "device", "check", "--config", str(config))

    def check() -> tuple[int, dict[str, str]]:
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, {line.split()[1]: line for line in done.stdout.splitlines()}

    code, rows = check()
    assert code == 0, rows
    assert all("skipped: not present (" in rows[name] for name in ("camera", "microphone"))
    assert rows["picture"].endswith("skipped: no camera is connected, and none was before")
    assert rows["sound"].endswith("skipped: no microphone is connected, and none was before")
    (tmp_path / "detected.json").write_text('["microphone"]')
    code, rows = check()
    assert code == 1
    assert rows["microphone"].startswith("✗")
    assert "absent, but this box had one before" in rows["microphone"]
    assert rows["sound"].startswith("✗")
