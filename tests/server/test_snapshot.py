"""Snapshots of a running daemon: the newest picture, with its time, also while nobody watches; viewers see no gap."""

from __future__ import annotations

import asyncio
import datetime
import io
import subprocess
import sys
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from device.control import place
from device.control.client import ask_for_bytes
from device.control.operations import GetSnapshot
from device.sources import strip
from tests.server.test_control import call
from tests.support import daemon as daemons
from tests.support.commands import command
from tests.support.films import FPS, film
from tests.support.watcher import watching

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.livekit_server import Server

_GAP_S = 0.3
_SLACK_S = 0.1
_TIMES = 30


def shown(data: bytes) -> tuple[tuple[int, int], strip.Reading]:
    """Return the size of a JPEG, and what its strip says."""
    picture = Image.open(io.BytesIO(data)).convert("L")
    reading = strip.read(np.asarray(picture))
    assert reading is not None
    return picture.size, reading


def epoch_s(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()


def files_are_written(folder: Path, variables: Mapping[str, str], runtime: Path) -> None:
    file = folder / "picture.jpg"
    began = time.time()
    written = command("snapshot", file, variables=variables)
    assert written.returncode == 0, written.stderr
    size, reading = shown(file.read_bytes())
    assert size == (1280, 720)
    assert began - _SLACK_S < reading.captured_at_us / 1e6 < time.time()
    captured_at = written.stdout.rpartition("captured at ")[2].strip()
    assert written.stdout == f"{file}: camera, 1280x720, captured at {captured_at}\n"
    assert abs(epoch_s(captured_at) - reading.captured_at_us / 1e6) < 0.005

    written = command("snapshot", file, "--full", "--stream", "film", variables=variables)
    assert written.returncode == 0, written.stderr
    assert written.stdout.startswith(f"{file}: film, 320x180 (the stream's size), captured at ")
    assert shown(file.read_bytes())[0] == (320, 180)
    assert [each.name for each in folder.iterdir()] == ["picture.jpg"]

    small = subprocess.run(
        [sys.executable, "-m", "device", "snapshot", "-", "--max-width", "640", "--quality", "40"],
        env=variables,
        capture_output=True,
        check=True,
    )
    assert small.stderr == b""
    assert shown(small.stdout)[0] == (640, 360)

    for name, arguments, why in (
        ("a.jpg", ("--stream", "microphone"), "there is no camera of this name; there are: camera, film"),
        ("none/a.jpg", (), f"{folder}/none/a.jpg cannot be written: No such file or directory"),
    ):
        refused = command("snapshot", folder / name, *arguments, variables=variables)
        assert (refused.returncode, refused.stdout, refused.stderr) == (1, "", f"{why}\n")
    assert command("snapshot", folder, variables=variables).stderr == f"{folder} is no file\n"
    assert [each.name for each in folder.iterdir()] == ["picture.jpg"]
    assert "must be between 1 and 100" in call(runtime, "snapshot", quality=0)["error"]


@pytest.mark.alone
def test_a_snapshot_is_the_newest_picture_and_viewers_notice_nothing(
    server: Server, room: str, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, folder = tmp_path / "run", tmp_path / "pictures"
    runtime.mkdir()
    folder.mkdir()
    path = film(tmp_path / "film.mp4", size=(320, 180), gop=20 * FPS, times=range(20 * FPS))
    config.write_text(f'[cameras.film]\nsource = "file"\npath = "{path}"\nencoder = "copy"\n')
    variables = daemons.environment(server, room, RUNTIME_DIRECTORY=str(runtime), DEVICE_MICROPHONE__SOURCE="off")
    monkeypatch.setattr(place, "own_runtime", lambda _environment: runtime)

    def many() -> list[tuple[dict[str, Any], bytes]]:
        return [ask_for_bytes(GetSnapshot(quality=100)) for _ in range(_TIMES)]

    async def scenario() -> None:
        with daemons.running(config, variables) as daemon:
            await asyncio.to_thread(daemon.event, "device.state", new="live", within_s=30)
            await asyncio.to_thread(files_are_written, folder, variables, runtime)
            async with watching(server, room) as watcher:
                await watcher.until(lambda: len(watcher.pictures) > 3 * FPS, within_s=30, what="pictures")
                began = time.monotonic()
                pictures = await asyncio.to_thread(many)
                ended = time.monotonic()
                await watcher.until(lambda: watcher.pictures[-1].at > ended + 1, within_s=10, what="a second more")
                seen = [each.at for each in watcher.pictures if began < each.at < ended + 1 and each.width == 1280]
            numbers = [shown(data)[1].number for _, data in pictures]
            assert numbers == sorted(set(numbers)), "a picture was given twice"
            assert max(later - sooner for sooner, later in pairwise([began, *seen])) < _GAP_S
            refusals = ("control.call",)
            assert not [line for line in daemon.lines if line["priority"] <= 4 and line["event"] not in refusals]

    asyncio.run(scenario())
