"""Cameras with wrong settings, busy, stalled or hung, and workers that die: reported, and recovered."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.lab.conftest import Record
from tests.lab.service import IDENTITY, Service
from tests.support.watcher import Watcher, watching

HOLD = """
import time
from picamera2 import Picamera2
with Picamera2(0):
    print("held", flush=True)
    time.sleep(600)
"""
SMALL: dict[str, object] = {"width": 640, "height": 480}
# A failed worker is restarted after 0 to 15 s, depending on the number of failures; usually at once.
BACK_S = 30


async def back(watcher: Watcher, *, since: int) -> None:
    await watcher.until(lambda: len(watcher.pictures) > since + 30, within_s=BACK_S, what="pictures again")


async def attribute(watcher: Watcher, text: str) -> None:
    await watcher.until(
        lambda: text in watcher.attributes(IDENTITY).get("device.camera", ""), within_s=BACK_S, what=f"attribute {text}"
    )


@pytest.mark.parametrize(
    ("camera", "words", "public"),
    (
        (
            {"device": "imx999"},
            "no camera's number, model or id is 'imx999'; there are: 0: Virtual Video Device (Virtual0)",
            "absent: this camera is not connected",
        ),
        (
            {"controls": {"Brightness": 1.0}},
            "camera.controls.Brightness: this camera has no such control; it has: ",
            "stalled: camera.controls does not fit this camera",
        ),
        (
            {"controls": {"FaceDetectMode": 99}},
            "camera.controls.FaceDetectMode: 99 is out of range; allowed: ",
            "stalled: camera.controls does not fit this camera",
        ),
        (
            {"controls": {"FrameRate": 10}},
            "camera.controls.FrameRate: set camera.fps instead",
            "stalled: camera.controls does not fit this camera",
        ),
        (
            {"width": 800, "height": 600},
            "the camera does not do 800x600; the nearest is camera.width = ",
            "stalled: camera.width and height do not fit this camera",
        ),
        (
            {"fps": 120},
            "camera.fps: 120 is too fast for this camera; allowed: ",
            "stalled: camera.fps does not fit this camera",
        ),
    ),
    ids=("name", "no-such-control", "control-range", "frame-rate-control", "size", "frame-rate"),
)
def test_wrong_settings_are_reported(
    service: Service, record: Record, camera: dict[str, Any], words: str, public: str
) -> None:
    async def watch() -> None:
        async with watching(service.server, service.room) as watcher:
            with service.running(camera=SMALL | camera) as journal:
                line = await journal.soon("worker.restarting", worker="camera", why=words)
                await attribute(watcher, public)
                await asyncio.to_thread(
                    service.machine.wait_for, lambda: public in service.status(), timeout_s=10, what="STATUS"
                )
                record(
                    f"camera {camera}: journal; attribute and STATUS",
                    f"{line['why']}; {public}",
                    must=f"… {words} … at warning; {public}; the room stays",
                    ok=line["priority"] == 4 and not journal.of("room.left"),
                )

    asyncio.run(watch())


def test_stalled_camera(service: Service, record: Record) -> None:
    async def watch() -> None:
        async with watching(service.server, service.room) as watcher:
            with service.running(camera=SMALL, microphone=None) as journal:
                await back(watcher, since=0)
                service.switch_camera("stalled")
                first = await journal.soon("worker.restarting", worker="camera")
                second = await journal.soon("worker.restarting", worker="camera", why="the camera yields no picture")
                await attribute(watcher, "the camera delivers no picture")
                service.switch_camera("")
                mended_at, seen = time.monotonic(), len(watcher.pictures)
                await back(watcher, since=seen)
                record(
                    "camera stalls: first words, words after a restart, and pictures again after",
                    f"{first['why']}; {second['why']}; {time.monotonic() - mended_at:.1f} s",
                    must=f"reported; with a remedy; within {BACK_S} s, in the same room",
                    ok="nothing came for" in first["why"] and "dmesg" in second["why"] and not journal.of("room.left"),
                )

    asyncio.run(watch())


def test_hung_stop(service: Service, record: Record) -> None:
    """The stop() of libcamera may hang; the failure is still reported, and the camera is free again."""

    async def watch() -> None:
        async with watching(service.server, service.room) as watcher:
            # picamera2 calls stop() at exit: the worker fails, and cannot end by itself.
            with service.running(camera=SMALL | {"encoder": "v4l2"}, microphone=None) as journal:
                await back(watcher, since=0)
                service.switch_camera("hung")
                service.switch_encoder("gone")
                line = await journal.soon("worker.restarting", worker="camera")
                service.switch_encoder("")
                service.switch_camera("")
                seen = len(watcher.pictures)
                await back(watcher, since=seen)
                record(
                    "the encoder fails and the camera's stop() hangs: the words; pictures again",
                    line["why"],
                    must="the encoder's failure; in the same room",
                    ok="No such device" in line["why"] and not journal.of("room.left"),
                )

    asyncio.run(watch())


def test_frozen_worker(service: Service, record: Record) -> None:
    """A driver that hangs with Python's lock: only SIGKILL ends such a process."""

    async def watch() -> None:
        async with watching(service.server, service.room) as watcher:
            with service.running(camera=SMALL, microphone=None) as journal:
                await back(watcher, since=0)
                await asyncio.to_thread(service.kill, service.worker("camera"), "STOP")
                ended = await journal.soon("worker.ended", worker="camera")
                line = await journal.soon("worker.restarting", worker="camera")
                seen = len(watcher.pictures)
                await back(watcher, since=seen)
                record(
                    "camera's worker frozen (SIGSTOP): its exit, the words; pictures again",
                    f"{ended['exit']}; {line['why']}",
                    must="-9 (killed); nothing came for …; in the same room",
                    ok=ended["exit"] == -9 and "nothing came for" in line["why"] and not journal.of("room.left"),
                )

    asyncio.run(watch())


def test_busy_camera(service: Service, record: Record) -> None:
    async def watch(let_go: Callable[[], object]) -> None:
        async with watching(service.server, service.room) as watcher:
            with service.running(camera=SMALL, microphone=None) as journal:
                line = await journal.soon("worker.restarting", worker="camera", why="another program holds it")
                await attribute(watcher, "the camera is in use by another program")
                let_go()
                await back(watcher, since=0)
                record(
                    "camera held by another process: the words; once it lets go",
                    f"{line['why']}; pictures",
                    must="busy, another program holds it; pictures",
                    ok="another program holds it (`fuser" in line["why"] and line["priority"] == 4,
                )

    with service.held_by_another(HOLD) as let_go:
        asyncio.run(watch(let_go))


def test_killed_worker(service: Service, record: Record) -> None:
    async def watch() -> None:
        async with watching(service.server, service.room) as watcher:
            with service.running(camera=SMALL) as journal:
                await back(watcher, since=0)
                heard = len(watcher.sound)
                await asyncio.to_thread(service.kill, service.worker("camera"), "KILL")
                line = await journal.soon("worker.restarting", worker="camera")
                seen, killed_at = len(watcher.pictures), time.monotonic()
                await back(watcher, since=seen)
                took_s = time.monotonic() - killed_at
                record(
                    "camera's worker killed: the words; pictures again after; sound meanwhile",
                    f"{line['why']}; {took_s:.1f} s; {len(watcher.sound) - heard} blocks of 10 ms",
                    must="killed by SIGKILL; within 30 s, same room; it goes on",
                    ok="SIGKILL" in line["why"]
                    and not journal.of("room.left")
                    and len(watcher.sound) - heard > took_s * 80,
                )

    asyncio.run(watch())


@pytest.mark.parametrize(("word", "thread"), (("listen-raises", "listen"),))
def test_exception_in_a_thread_of_picamera2(service: Service, record: Record, word: str, thread: str) -> None:
    async def watch() -> None:
        async with watching(service.server, service.room) as watcher:
            with service.running(camera=SMALL, microphone=None) as journal:
                await back(watcher, since=0)
                service.switch_camera(word)
                line = await journal.soon("worker.restarting", worker="camera", why="failed: RuntimeError")
                service.switch_camera("")
                seen = len(watcher.pictures)
                await back(watcher, since=seen)
                record(
                    "an exception in picamera2's own thread: the words, then pictures again",
                    line["why"],
                    must="names thread and error; same room",
                    ok=thread in line["why"] and "RuntimeError" in line["why"] and not journal.of("room.left"),
                )

    asyncio.run(watch())
