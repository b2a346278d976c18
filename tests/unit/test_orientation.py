"""camera.rotate: what the sensor does, what FFmpeg does, and the sizes that follow."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from device.config.schema import Camera
from device.ipc.messages import Capturing
from device.media.picture import AccessUnit, FramePicture
from device.sources import strip
from device.sources.conversion import Turn
from device.sources.orientation import flips_left, sensor_flips, turns_left
from device.sources.pattern import PatternSource
from device.sources.planes import writable
from device.sources.turned import TurnedSource
from device.tracks.ladder import rungs
from tests.unit.workers.watched import CAMERA, LIMIT_S, run_worker

if TYPE_CHECKING:
    from device.ipc.framing import Received

QUARTERS = {0: 0, 90: 1, 180: 2, 270: 3}


@dataclass
class Transform:
    hflip: bool
    vflip: bool


@pytest.mark.parametrize(
    ("settings", "flips"),
    (
        ({}, (False, False)),
        ({"hflip": True}, (True, False)),
        ({"rotate": 180}, (True, True)),
        ({"rotate": 180, "hflip": True}, (False, True)),
        ({"rotate": 180, "hflip": True, "vflip": True}, (False, False)),
        ({"rotate": 90, "hflip": True}, (True, False)),
    ),
)
def test_the_sensor_does_flips_and_180_degrees_together(settings: dict[str, Any], flips: tuple[bool, bool]) -> None:
    job = replace(CAMERA, source="picamera2", **settings)
    assert sensor_flips(job) == flips
    assert flips_left(job, Transform(*flips)) is Turn.NONE
    assert flips_left(job, None) is Turn.NONE


def test_what_the_sensor_does_not_do_is_left() -> None:
    job = replace(CAMERA, source="picamera2", rotate=180)
    assert flips_left(job, Transform(hflip=False, vflip=False)) is Turn.HALF
    assert flips_left(job, Transform(hflip=True, vflip=False)) is Turn.VFLIP


@pytest.mark.parametrize(
    ("source", "rotate", "turns"),
    (
        ("picamera2", 0, []),
        ("picamera2", 180, []),
        ("v4l2", 180, []),
        ("picamera2", 90, [Turn.CLOCKWISE]),
        ("file", 180, [Turn.HALF]),
        ("pattern", 270, [Turn.COUNTERCLOCKWISE]),
    ),
)
def test_the_rest_is_turned_after_the_capture(source: str, rotate: int, turns: list[Turn]) -> None:
    assert turns_left(replace(CAMERA, source=source, rotate=rotate), object()) == turns


@pytest.mark.parametrize("rotate", (90, 180, 270))
@pytest.mark.parametrize("pixel_format", ("yuv420p", "nv12"))
def test_pictures_are_turned_clockwise(rotate: int, pixel_format: str) -> None:
    """The strip along the lower edge is read after the picture is turned back."""
    pattern: Any = PatternSource(width=320, height=240, fps=30, identity="porch")
    if pixel_format != "yuv420p":
        pattern = Reformatted(pattern, pixel_format)
    turned = TurnedSource(pattern, turns_left(replace(CAMERA, rotate=rotate), pattern))
    assert (turned.width, turned.height) == ((320, 240) if rotate == 180 else (240, 320))
    numbers = []
    for picture in islice(turned.pictures(), 3):
        with picture.mapped() as frame, picture.mapped() as again:
            assert frame is again
            assert (frame.width, frame.height, frame.format.name) == (turned.width, turned.height, pixel_format)
            upright = np.ascontiguousarray(np.rot90(writable(frame)[0], QUARTERS[rotate]))
        reading = strip.read(upright)
        assert reading
        numbers.append((reading.number, picture.number))
    assert [read for read, _ in numbers] == [given for _, given in numbers]


class Reformatted:
    """A source with another pixel format, like a camera's."""

    def __init__(self, source: PatternSource, pixel_format: str) -> None:
        self._source, self.pixel_format = source, pixel_format

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def pictures(self) -> Any:
        for picture in self._source.pictures():
            frame = picture.frame.reformat(format=self.pixel_format)
            yield FramePicture(frame=frame, number=picture.number, captured_at_us=picture.captured_at_us)


def test_the_worker_publishes_the_turned_size() -> None:
    async def main() -> tuple[Capturing, AccessUnit]:
        capturing: asyncio.Future[Capturing] = asyncio.get_running_loop().create_future()
        unit: asyncio.Future[AccessUnit] = asyncio.get_running_loop().create_future()

        def on_message(received: Received) -> None:
            if isinstance(received.message, Capturing) and not capturing.done():
                capturing.set_result(received.message)
            if isinstance(received.message, AccessUnit) and not unit.done():
                unit.set_result(received.message)

        async with asyncio.timeout(LIMIT_S), run_worker("device.workers.camera", job, on_message):
            return await capturing, await unit

    job = replace(CAMERA, rotate=90)
    capturing, unit = asyncio.run(main())
    assert job.published_size == (240, 320) == (capturing.width, capturing.height) == (unit.width, unit.height)
    decoder = av.CodecContext.create("h264", "r")
    [frame, *_] = [*decoder.decode(av.Packet(unit.payload)), *decoder.decode(None)]
    assert isinstance(frame, av.VideoFrame)
    assert strip.read(np.ascontiguousarray(np.rot90(writable(frame)[0])))


def test_the_ladder_of_a_portrait_has_the_steps_of_a_landscape() -> None:
    bounds = {"fps": 30, "floor_bps": 30_000, "ceiling_bps": 2_500_000}
    landscape = rungs(width=1280, height=720, **bounds)
    portrait = rungs(width=720, height=1280, **bounds)
    assert [(rung.height, rung.width, rung.fps) for rung in portrait] == [
        (rung.width, rung.height, rung.fps) for rung in landscape
    ]


@pytest.mark.parametrize(
    ("keys", "remedy"),
    (
        ({"rotate": 90, "encoder": "v4l2"}, 'use encoder = "auto" or "x264", or rotate = 0 or 180'),
        ({"rotate": 270, "encoder": "v4l2"}, 'use encoder = "auto" or "x264", or rotate = 0 or 180'),
        ({"rotate": 180, "encoder": "copy", "source": "file", "path": "/film.mp4"}, 'use encoder = "auto"'),
        ({"rotate": 45}, "must be 0, 90, 180 or 270"),
    ),
)
def test_an_impossible_orientation_is_a_configuration_error(keys: dict[str, Any], remedy: str) -> None:
    with pytest.raises(ValueError, match="rotate") as refused:
        Camera(**keys)
    assert remedy in str(refused.value)


def test_the_sensor_turns_180_degrees_for_the_boards_encoder() -> None:
    assert Camera(rotate=180, encoder="v4l2").rotate == 180
