"""`python -m tests.bench.skew [ROW...]`: flash and beep of an IP camera over minutes, and after a pause. By hand.

SKEW_MINUTES (2) is how long each of the long rows runs; 30 shows what a fast clock does in half an hour.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.figures import percentile
from tests.support import daemon as daemons
from tests.support.livekit_server import livekit_server
from tests.support.skew import Skew, skews
from tests.support.wall_clock_camera import Camera, WallClockCamera, wall_clock_camera
from tests.support.watcher import Watcher, watching

if TYPE_CHECKING:
    from tests.support.livekit_server import Server

_SETTLED_S, _STEP_S, _PAUSE_S, _AFTER_S = 10.0, 10.0, 2.0, 8.0
_FIRST_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`pause`: the medium whose source stops for 2 s; "worker" stops the process that captures sound."""

    encoder: str = "copy"
    camera: Camera = field(default_factory=Camera)
    pause: str = ""


ROWS = {
    "copy": Row(),
    "x264": Row(encoder="x264"),
    "late-picture": Row(camera=Camera(picture_late_ms=150)),
    "fast-sound": Row(camera=Camera(sound_ppm=500)),
    "slow-sound": Row(camera=Camera(sound_ppm=-500)),
    "sound-pauses": Row(pause="sound"),
    "picture-pauses": Row(pause="picture"),
    "worker-pauses": Row(pause="worker"),
}


async def _measured(row: Row, server: Server, room: str, folder: Path) -> list[str]:
    """Return lines for the reader."""
    (config := folder / "device.toml").touch()
    async with watching(server, room) as watcher:
        with wall_clock_camera(folder, row.camera) as camera:
            stream = {
                "DEVICE_CAMERA__SOURCE": "stream",
                "DEVICE_MICROPHONE__SOURCE": "stream",
                "DEVICE_CAMERA__URL": camera.url,
                "DEVICE_CAMERA__ENCODER": row.encoder,
                "DEVICE_LOG__LEVEL": "debug",
                "DEVICE_WATCH__MICROPHONE_STALL_S": "10",  # or the worker is restarted in a pause
                "DEVICE_WATCH__CAMERA_STALL_S": "10",
            }
            with daemons.running(config, daemons.environment(server, room, **stream)) as daemon:
                await watcher.until_received(within_s=_FIRST_S)
                await asyncio.sleep(_SETTLED_S)
                if row.pause:
                    return await _paused(row, watcher, camera, daemon)
                found = await _series(watcher, for_s=60 * float(os.environ.get("SKEW_MINUTES", "2")))
                return [_summary(found), f"  log: {_events(daemon)}"]


async def _series(watcher: Watcher, *, for_s: float) -> list[Skew]:
    """Collect in steps, because the watcher forgets what is older than a minute."""
    found: list[Skew] = []
    since_s = began_s = time.time()
    while time.time() < began_s + for_s:
        await asyncio.sleep(_STEP_S)
        new = skews(watcher, since_s=since_s)
        found += new
        since_s = max((each.at_s + 0.1 for each in new), default=since_s)
    return found


async def _paused(row: Row, watcher: Watcher, camera: WallClockCamera, daemon: daemons.Daemon) -> list[str]:
    before = await _series(watcher, for_s=_STEP_S)
    if row.pause == "worker":
        worker = daemon.worker("microphone")
        os.kill(worker, signal.SIGSTOP)
        await asyncio.sleep(_PAUSE_S)
        os.kill(worker, signal.SIGCONT)
    else:
        camera.pause(row.pause, _PAUSE_S)
        await asyncio.sleep(_PAUSE_S)
    back_s = time.time()
    await asyncio.sleep(_AFTER_S)
    after = [(each.at_s - back_s, each.ms) for each in skews(watcher, since_s=back_s)]
    return [
        f"before: {_summary(before)}",
        "  seconds after the return, skew ms: " + " ".join(f"{at:.1f}:{ms:+.0f}" for at, ms in after),
        f"  log: {_events(daemon)}",
    ]


def _events(daemon: daemons.Daemon) -> dict[str, int]:
    """Return the last value of what the log counts."""
    found = {}
    for line in daemon.lines:
        if line.get("event") == "microphone.dropped":
            found["blocks dropped"] = line["blocks"]
        if line.get("event") == "microphone.pace":
            found["pace ppm"] = line["ppm"]
    return found


def _summary(found: list[Skew]) -> str:
    values = [each.ms for each in found]
    thirds = len(found) // 3
    medians = [percentile(values[at : at + thirds], 50) for at in range(0, 3 * thirds, max(1, thirds))]
    return (
        f"{len(values)} flashes, skew p50 {percentile(values, 50):+.0f} ms, p95 of its absolute value "
        f"{percentile(map(abs, values), 95):.0f} ms, slope {slope(found):+.2f} ms a minute, thirds "
        + " ".join(f"{each:+.0f}" for each in medians)
    )


def slope(found: list[Skew]) -> float:
    """Return by how many milliseconds a minute skews grow, by least squares; NaN for too few."""
    if len(found) < 3:
        return math.nan
    mean_at = sum(each.at_s for each in found) / len(found)
    mean_ms = sum(each.ms for each in found) / len(found)
    spread = sum((each.at_s - mean_at) ** 2 for each in found)
    return 60 * sum((each.at_s - mean_at) * (each.ms - mean_ms) for each in found) / spread


def main() -> int:
    names = sys.argv[1:] or list(ROWS)
    if unknown := set(names) - set(ROWS):
        sys.exit(f"no such row {', '.join(sorted(unknown))}; there are: {', '.join(ROWS)}")
    with livekit_server(prefer=(0, 0)) as server:
        for name in names:
            with tempfile.TemporaryDirectory(prefix="skew-") as folder:
                lines = asyncio.run(_measured(ROWS[name], server, f"skew-{name}", Path(folder)))
            print(f"{name}: " + "\n".join(lines), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
