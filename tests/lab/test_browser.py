"""The machine's tracks in Chromium: the viewer page on the host, as in tests/browser."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.lab.conftest import Record
from tests.lab.service import Service
from tests.support import daemon as daemons
from tests.support.chromium import open_page, shoot, until, until_live
from tests.support.viewer_process import viewer_process

# libcamera's colour bars in red, green and blue; they move sideways.
BARS = {
    "white": (255, 255, 255),
    "yellow": (255, 255, 0),
    "cyan": (0, 255, 255),
    "green": (0, 255, 0),
    "magenta": (255, 0, 255),
    "red": (255, 0, 0),
    "blue": (0, 0, 255),
    "black": (0, 0, 0),
}
MAX_OFF = 8  # of 255: a wrong matrix is off by 30 or more, a wrong range by 16
ROW = """() => {
  const video = document.querySelector('video');
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth; canvas.height = 1;
  const context = canvas.getContext('2d', {willReadFrequently: true});
  context.drawImage(video, 0, -Math.floor(video.videoHeight / 2));
  return Array.from(context.getImageData(0, 0, canvas.width, 1).data);
}"""


def furthest_off(row: npt.NDArray[np.int64]) -> tuple[str, int]:
    """Return the bar with the largest error in a row of pixels, and the error of its worst channel.

    A bar is an eighth of the row; its middle half is not affected by the neighbours' blur.
    """
    off = {
        name: int(np.sort(np.abs(row - rgb).max(axis=1))[len(row) // 16 - 1])
        for name, rgb in ((name, np.array(bar)) for name, bar in BARS.items())
    }
    return max(off.items(), key=lambda each: each[1])


def test_chromium_sees_and_hears_it(service: Service, record: Record, config: Path) -> None:
    variables = daemons.environment(service.server, service.room)
    with service.running(camera={}), viewer_process(config, variables) as url, open_page(url) as page:
        until_live(page)
        until(page, "viewer.stats.fps > 20 && viewer.stats.audio_level > 0.05")
        stats = page.evaluate("viewer.stats")
        record(
            "Chromium: picture, frames a second, level of the 440 Hz, latency",
            f"{stats['width']}x{stats['height']}, {stats['fps']:.0f}, {stats['audio_level']:.2f}, "
            f"{stats['latency_ms']} ms",
            must="1280x720, above 20, above 0.05",
            ok=(stats["width"], stats["height"]) == (1280, 720),
        )
        shoot(page, "lab")


@pytest.mark.parametrize(("width", "height"), ((640, 480), (1280, 720)))
def test_chromium_shows_the_right_colours(
    service: Service, record: Record, config: Path, width: int, height: int
) -> None:
    """At 1280x720 the virtual camera makes BT.601 too, as libcamera reports; a guess by the size would be wrong."""
    variables = daemons.environment(service.server, service.room)
    camera = {"width": width, "height": height, "encoder": "x264"}
    with service.running(camera=camera), viewer_process(config, variables) as url, open_page(url) as page:
        until_live(page)
        page.wait_for_timeout(3000)  # at the first bitrates the bars are blurred
        row = np.array(page.evaluate(ROW)).reshape(-1, 4)[:, :3]
        name, off = furthest_off(row)
        record(
            f"Chromium: the eight colour bars at {width}x{height} by x264, the worst of them",
            f"{name} is {off} of 255 off",
            must=f"{MAX_OFF} or less",
            ok=len(row) == width and off <= MAX_OFF,
        )
