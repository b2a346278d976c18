"""Privacy and snapshots of the shipped unit, with picamera2 and both encoders."""

import asyncio
import base64
import io
import json
import time
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from tests.lab.conftest import Record
from tests.lab.load import measuring_load
from tests.lab.machine import processes_of
from tests.lab.meter import metering
from tests.lab.service import COMMAND, IDENTITY, STATE_DIRECTORY, UNIT, Service
from tests.lab.test_camera import HOLD, SMALL, attribute, back
from tests.support.watcher import watching

ANSWER_S, GAP_S, FULL_GAP_S = 3.0, 0.3, 1.3
BUSY = 0.2
SNAPSHOTS = 5
# The lab's stand-ins answer devices with memfds of these names.
OPEN_DEVICES = r"""
for pid in "$@"; do
    find "/proc/$pid/fd" -type l -printf '%l\n' 2>/dev/null
done | grep -E '^/dev/(video|media|v4l|snd|dma_heap|udmabuf)|^/memfd:(dma_heap|udmabuf|labenc)|pulse' | sort -u
"""


def open_devices(service: Service) -> list[str]:
    """Return the devices that processes of the unit have open."""
    pids = [str(pid) for pid in processes_of(service.machine, UNIT)]
    return service.machine.run(("sh", "-c", OPEN_DEVICES, "sh", *pids), check=False).stdout.split()


def capturing(service: Service) -> list[str]:
    return [name for name in ("camera", "microphone") if service.worker(name)]


def test_privacy_closes_the_devices_and_outlives_a_restart(service: Service, record: Record) -> None:
    run = service.machine.run

    async def watch() -> None:
        async with watching(service.server, service.room) as watcher:
            with service.running(camera=SMALL) as journal:
                await back(watcher, since=0)
                before, open_before = capturing(service), open_devices(service)
                began = time.monotonic()
                with measuring_load() as load:
                    await asyncio.to_thread(run, (COMMAND, "privacy", "on", "--local"))
                took_s = time.monotonic() - began
                workers, devices = capturing(service), open_devices(service)
                with service.held_by_another(HOLD):  # fails if the camera is not free
                    await attribute(watcher, "privacy")
                status = run((COMMAND, "status", "--json"), check=False).stdout
                kept = json.loads(run(("cat", f"{STATE_DIRECTORY}/privacy.json")).stdout)
                right = before == ["camera", "microphone"] and open_before != [] and not workers and not devices
                right = right and json.loads(status)["state"] == "live" and kept == {"*": "local"}
                busy = load.idle_share < BUSY and right and took_s > ANSWER_S  # the command is a new interpreter
                record(
                    "privacy on: workers and open devices before; answered after; workers and open devices then; "
                    "another program's try of the camera; device.state; kept",
                    f"{before}, {open_before}; {took_s:.1f} s; {workers}, {devices}; opened; "
                    f"{json.loads(status)['state']}; {kept}",
                    must=f"both, some; <= {ANSWER_S:g} s; none, none; opened; live; local, for all",
                    ok=right and took_s <= ANSWER_S,
                    excuse="the machine was busy" if busy else "",
                )
                mark = journal.mark()
                await asyncio.to_thread(service.machine.systemctl, "restart", UNIT)
                await journal.soon("device.state", new="live", since=mark)
                await attribute(watcher, "privacy")
                spawned = [line["worker"] for line in journal.of("worker.spawned", since=mark)]
                await asyncio.to_thread(run, (COMMAND, "privacy", "off"))
                seen = len(watcher.pictures)
                await back(watcher, since=seen)
                await watcher.until(
                    lambda: watcher.attributes(IDENTITY).get("device.camera") == "live", within_s=10, what="live"
                )
                record(
                    "restarted under privacy: workers that were started; after privacy off",
                    f"{spawned}; pictures",
                    must="none; pictures",
                    ok=spawned == [],
                )

    asyncio.run(watch())


@pytest.mark.parametrize("encoder", ("x264", "auto"))
def test_snapshots(service: Service, record: Record, encoder: str) -> None:
    run, path = service.machine.run, "/run/snapshot.jpg"
    expected = {"auto": "v4l2"}.get(encoder, encoder)

    async def watch() -> None:
        async with metering(service.server, service.room) as meter:
            with service.running(camera=SMALL | {"encoder": encoder}, microphone=None) as journal:
                await meter.until(120, within_s=40)
                first, took_s = len(meter.shown), []
                with measuring_load() as load:
                    for _ in range(SNAPSHOTS):
                        began = time.monotonic()
                        await asyncio.to_thread(run, (COMMAND, "snapshot", path, "--quality", "95"))
                        took_s.append(time.monotonic() - began)
                    await meter.until(len(meter.shown) + 30, within_s=10)
                last = len(meter.shown)
                gap_s = max(after.came_s - before.came_s for before, after in pairwise(meter.shown[first:last]))
                picture = Image.open(io.BytesIO(base64.b64decode(run(("base64", path)).stdout))).convert("RGB")
                pixels = np.asarray(picture)[20, 10:640:20]
                right = picture.size == (640, 480) and max(took_s) <= ANSWER_S
                busy = load.idle_share < BUSY and right and gap_s > GAP_S  # each command is a new interpreter
                colours = {tuple(each) for each in np.round(pixels / 255).astype(int).tolist()}
                used = journal.of("worker.capturing")[-1]["encoder"]
                record(
                    f"encoder = {encoder}: {SNAPSHOTS} snapshots: encoder; slowest, with the command's start; size; "
                    "colours of the bars; viewers' longest gap",
                    f"{used}; {max(took_s):.1f} s; {picture.size}; {len(colours)}; {gap_s:.2f} s ({load})",
                    must=f"{expected}; <= {ANSWER_S:g} s; (640, 480); >= 6; <= {GAP_S} s",
                    ok=used == expected and right and len(colours) >= 6 and gap_s <= GAP_S,
                    excuse="the machine was busy" if busy else "",
                )
                said = (await asyncio.to_thread(run, (COMMAND, "snapshot", path, "--full"))).stdout
                await meter.until(len(meter.shown) + 60, within_s=10)
                gap_s = max(after.came_s - before.came_s for before, after in pairwise(meter.shown[last:]))
                picture = Image.open(io.BytesIO(base64.b64decode(run(("base64", path)).stdout)))
                restarts = len(journal.of("worker.restarting"))
                record(
                    f"encoder = {encoder}: snapshot --full: size; viewers' longest gap; restarts of the worker",
                    f"{picture.size}; {gap_s:.2f} s; {restarts} ({said.strip()})",
                    must=f"(1920, 1080); <= {FULL_GAP_S} s; 0",
                    ok=picture.size == (1920, 1080) and gap_s <= FULL_GAP_S and not restarts,
                )

    asyncio.run(watch())
