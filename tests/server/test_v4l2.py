"""A V4L2 camera, a stand-in below FFmpeg, in a real room: decoded, unplugged, and plugged in as another number."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.server.test_control import call
from tests.support import daemon as daemons
from tests.support.v4l2_cameras import CONTROLS, H264_CONTROLS, Camera, Tree, marked
from tests.support.watcher import Watcher, watching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.livekit_server import Server


async def _see_marked(watcher: Watcher, count: int) -> None:
    """Wait for pictures with numbers; those of a slate have none."""
    seen = len(watcher.pictures)
    await watcher.until(
        lambda: sum(each.reading is not None for each in list(watcher.pictures)[seen:]) >= count,
        within_s=30,
        what=f"{count} marked pictures",
    )


@pytest.fixture
def service_manager(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Return the environment of a daemon under a service manager, for which SIGHUP is a reload."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        yield {"NOTIFY_SOCKET": path}


def _reload_controls(daemon: daemons.Daemon, config: Path) -> None:
    config.write_text("[camera.controls]\nbrightness = 7\n")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.event("config.reloaded")


def test_a_usb_camera_is_published_and_found_again_under_another_number(
    server: Server, room: str, config: Path, tmp_path: Path, service_manager: dict[str, str]
) -> None:
    tree = Tree(tmp_path / "devices")
    content = marked(tmp_path / "content", "MJPG", size=(640, 480))
    camera = Camera(serial="8F2A", modes=("YUYV 640 480 0 10", f"MJPG 640 480 0 30 {content}"))
    tree.plug("video0", Camera(card="Other"))
    tree.plug("video2", camera)
    variables = daemons.environment(
        server,
        room,
        DEVICE_CAMERA__SOURCE="v4l2",
        DEVICE_CAMERA__DEVICE="serial:8f2a",
        RUNTIME_DIRECTORY=str(tmp_path),
        DEVICE_CAMERA__WIDTH="640",
        DEVICE_CAMERA__HEIGHT="480",
        DEVICE_MICROPHONE__SOURCE="off",
        **tree.environment,
        **service_manager,
    )

    async def scenario() -> None:
        async with watching(server, room) as watcher:
            with daemons.running(config, variables) as daemon:
                await _see_marked(watcher, 30)
                assert (watcher.pictures[-1].width, watcher.pictures[-1].height) == (640, 480)
                capturing = daemon.event("worker.capturing", worker="camera")
                assert (capturing["source"], capturing["encoder"], capturing["fps"]) == ("v4l2", "x264", 30)

                config_of_camera = await asyncio.to_thread(call, tmp_path, "config", table="camera")
                offered = config_of_camera["result"]["keys"]["camera.controls"]["offered"]
                assert offered["brightness"] == {"kind": "integer", "least": -64, "most": 64, "step": 1, "default": 0}
                assert offered["power_line_frequency"]["items"][1] == [1, "50 Hz"]

                tree.unplug("video2")
                await watcher.until(
                    lambda: watcher.attributes("device").get("device.camera", "").startswith("absent"),
                    within_s=15,
                    what="an absent camera",
                )
                daemon.until(lambda line: "there are: Other (/dev/video0)" in str(line.get("why")), within_s=15)
                tree.plug("video5", camera)
                await _see_marked(watcher, 30)

                _reload_controls(daemon, config)
                assert tree.values("video5")[-1] == (0x980900, 7)

                since = len(daemon.lines)
                tree.stall("video5")
                daemon.event("worker.restarting", worker="camera", since=since)
                tree.stall("video5", on=False)
                await _see_marked(watcher, 10)

    asyncio.run(scenario())


def test_a_cameras_own_h264_follows_the_room_by_its_controls(
    server: Server, room: str, config: Path, tmp_path: Path, service_manager: dict[str, str]
) -> None:
    tree = Tree(tmp_path / "devices")
    content = marked(tmp_path / "content", "H264", size=(640, 480), count=600, gop=300)
    camera = Camera(modes=("YUYV 640 480 0 30", f"H264 640 480 0 30 {content}"), controls=(*CONTROLS, *H264_CONTROLS))
    tree.plug("video0", camera)
    variables = daemons.environment(
        server,
        room,
        DEVICE_CAMERA__SOURCE="v4l2",
        DEVICE_CAMERA__WIDTH="640",
        DEVICE_CAMERA__HEIGHT="480",
        DEVICE_MICROPHONE__SOURCE="off",
        **tree.environment,
        **service_manager,
    )

    async def scenario() -> None:
        with daemons.running(config, variables) as daemon:
            async with watching(server, room) as watcher:
                await _see_marked(watcher, 30)
                capturing = daemon.event("worker.capturing", worker="camera")
                assert (capturing["source"], capturing["encoder"], capturing["width"]) == ("v4l2", "copy", 640)
            # A late viewer gets a key frame at once, although the camera's next one is seconds away.
            async with watching(server, room, identity="late") as watcher:
                joined_at = time.monotonic()
                await _see_marked(watcher, 1)
                assert time.monotonic() - joined_at < 4
            _reload_controls(daemon, config)
        assert {number for number, _ in tree.values("video0")} == {0x9909CF, 0x9909E5, 0x980900}
        assert all(50_000 <= value <= 8_000_000 for number, value in tree.values("video0") if number == 0x9909CF)

    asyncio.run(scenario())
