"""The viewer page in Debian's Firefox, over WebDriver BiDi: `make integration`, by hand."""

from __future__ import annotations

import asyncio
import itertools
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from livekit import rtc

from tests.browser.test_viewer_elsewhere import SMALL
from tests.support import daemon as daemons
from tests.support.firefox import QUIET, Firefox, firefox
from tests.support.tokens import token
from tests.support.viewer_process import viewer_process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.support.livekit_server import Server

pytestmark = pytest.mark.timeout(200)

# Without its plugin OpenH264, which Firefox downloads after its first start. The system's FFmpeg does not replace it.
NO_H264 = {"media.gmp-gmpopenh264.enabled": False}
WILLING = {"media.autoplay.default": 0}
UNWILLING = {"media.autoplay.default": 5, "media.autoplay.blocking_policy": 0}


def _run(
    server: Server,
    room: str,
    config: Path,
    preferences: dict[str, Any],
    scenario: Callable[[Firefox], Awaitable[str]],
) -> None:
    variables = daemons.environment(server, room, DEVICE_ROOM__DISPLAY_NAME="Front door", **SMALL)

    async def main(url: str) -> None:
        async with firefox(QUIET | preferences) as browser:
            await browser.resize(1280, 720)
            await browser.open(url)
            await browser.until("Boolean(window.viewer)")
            said = await scenario(browser)
            sys.stdout.write(f"Firefox {browser.version}: {said}\n")

    with daemons.running(config, variables), viewer_process(config, variables) as url:
        asyncio.run(main(url))


def test_without_h264_there_are_words_and_sound(server: Server, room: str, config: Path) -> None:
    async def scenario(browser: Firefox) -> str:
        await browser.until("viewer.state === 'no-codec' && viewer.stats.audio_level > 0.005")
        said = str(await browser.evaluate("document.getElementById('spoken').textContent"))
        assert "it has no H.264" in said
        assert "Sound plays" in said
        await asyncio.sleep(2)
        assert await browser.evaluate("viewer.joins") == 1
        return said

    _run(server, room, config, NO_H264 | WILLING, scenario)


def test_pictures_in_another_codec_play_after_a_click(server: Server, room: str, config: Path) -> None:
    """Somebody publishes VP8 beside the device, whose H.264 this Firefox cannot decode."""

    async def scenario(browser: Firefox) -> str:
        async with _vp8_camera(server, room):
            await browser.until("viewer.cameras.length === 2 && viewer.state === 'paused' && viewer.stats.frames > 0")
            await browser.click("#play")
            await browser.until("viewer.state === 'live' && viewer.stats.audio_level > 0.005")
            cameras = await browser.until("viewer.cameras.some((each) => each.frames > 20) && viewer.cameras")
            captions = [each["caption"] for each in cameras]
            assert any(each.startswith("Somebody 320 \N{MULTIPLICATION SIGN} 180") for each in captions)
            assert "Front door no H.264 in this browser" in captions
            joins = await browser.evaluate("viewer.joins")
            await browser.evaluate("(() => { const now = Date.now; Date.now = () => now() + 60_000; })() ?? true")
            await browser.until(f"viewer.joins === {joins} + 1 && viewer.state === 'live'")
            return f"paused, then live, and again after a sleep: {captions}"

    _run(server, room, config, NO_H264 | UNWILLING, scenario)


@asynccontextmanager
async def _vp8_camera(server: Server, room: str) -> AsyncIterator[None]:
    participant = rtc.Room()
    await participant.connect(server.url, token(server, room, identity="Somebody", publish=True))
    source = rtc.VideoSource(320, 180)
    options = rtc.TrackPublishOptions(
        source=rtc.TrackSource.SOURCE_CAMERA, video_codec=rtc.VideoCodec.VP8, simulcast=False
    )
    await participant.local_participant.publish_track(rtc.LocalVideoTrack.create_video_track("camera", source), options)

    async def feed() -> None:
        for number in itertools.count():
            picture = bytes([number % 256]) * (320 * 180) + bytes([128]) * (320 * 180 // 2)
            source.capture_frame(rtc.VideoFrame(320, 180, rtc.VideoBufferType.I420, picture))
            await asyncio.sleep(0.1)

    feeding = asyncio.ensure_future(feed())
    try:
        yield
    finally:
        feeding.cancel()
        await participant.disconnect()
