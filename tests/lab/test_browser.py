"""What the machine publishes, once in a real Chromium: the viewer page on the host, as in tests/browser."""

from pathlib import Path

import pytest

from tests.browser.test_viewer import _CHROMIUM, _live, _page, _shoot, _until, _viewer
from tests.lab.conftest import Record
from tests.lab.service import Service
from tests.support import daemon as daemons


@pytest.mark.skipif(_CHROMIUM is None, reason="there is no chromium on PATH (apt install chromium)")
def test_chromium_sees_and_hears_it(service: Service, record: Record, config: Path) -> None:
    variables = daemons.environment(service.server, service.room)
    with service.running(camera={}), _viewer(config, variables) as url, _page(url) as page:
        _live(page)
        _until(page, "viewer.stats.fps > 20 && viewer.stats.audio_level > 0.05")
        stats = page.evaluate("viewer.stats")
        record(
            "Chromium: picture, frames a second, level of the 440 Hz, latency",
            f"{stats['width']}x{stats['height']}, {stats['fps']:.0f}, {stats['audio_level']:.2f}, "
            f"{stats['latency_ms']} ms",
            must="1280x720, above 20, above 0.05",
            ok=(stats["width"], stats["height"]) == (1280, 720),
        )
        _shoot(page, "lab")
