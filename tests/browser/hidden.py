"""A viewer in a browser tab that is hidden: LiveKit's adaptive stream, and a device with `pause`. By hand.

Playwright keeps each page visible, so the document only says that it is hidden, which is what the client looks at.
`make integration` runs it.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from device.viewer.bundle import VENDOR
from tests.browser.test_viewer_elsewhere import SMALL
from tests.support import daemon as daemons
from tests.support.chromium import ARGUMENTS, CHROMIUM, NEEDS_CHROMIUM
from tests.support.tokens import token

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.support.livekit_server import Server

pytestmark = NEEDS_CHROMIUM

_TIMES = 5
_LIVE_S, _PAUSED_S, _FIRST_S = 30.0, 30.0, 1.5
_JOIN = """async ([url, token]) => {
  const room = new LivekitClient.Room({adaptiveStream: true});
  const video = document.createElement("video");
  Object.assign(video, {muted: true, autoplay: true, width: 320, height: 180});
  document.body.append(video);
  room.on("trackSubscribed", (track) => { if (track.kind === "video") track.attach(video); });
  await room.connect(url, token);
}"""
_HIDE = """(hidden) => {
  const state = hidden ? "hidden" : "visible";
  Object.defineProperty(document, "visibilityState", {value: state, configurable: true});
  Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
}"""
_NEXT_PICTURE_MS = """() => new Promise((done) => {
  const began = performance.now();
  document.querySelector("video").requestVideoFrameCallback(() => done(performance.now() - began));
})"""


def test_a_hidden_tab_pauses_the_device_and_has_the_picture_again(server: Server, room: str, config: Path) -> None:
    variables = daemons.environment(server, room, DEVICE_CAMERA__WHEN_UNWATCHED="pause", **SMALL)
    paused_s, first_s = [], []
    with daemons.running(config, variables) as daemon, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGUMENTS)
        try:
            page = browser.new_page()
            page.set_content("<!doctype html><body></body>")
            page.add_script_tag(path=VENDOR / "livekit-client.umd.js")
            daemon.event("room.state", new="live")
            page.evaluate(_JOIN, [server.url, token(server, room)])
            _picture_s(page)
            for _ in range(_TIMES):
                mark, began = len(daemon.lines), time.monotonic()
                page.evaluate(_HIDE, arg=True)
                daemon.event("camera.sending", new="paused", within_s=_PAUSED_S, since=mark)
                paused_s.append(time.monotonic() - began)
                page.evaluate(_HIDE, arg=False)
                first_s.append(_picture_s(page))
        finally:
            browser.close()
    sys.stdout.write(f"hidden {_TIMES} times: paused after {_text(paused_s)} s; picture again {_text(first_s)} s\n")
    assert max(first_s) <= _FIRST_S


def _picture_s(page: Page) -> float:
    """Wait for the next picture; return the seconds."""
    page.set_default_timeout(_LIVE_S * 1000)
    return float(page.evaluate(_NEXT_PICTURE_MS)) / 1000


def _text(seconds: list[float]) -> str:
    return ", ".join(f"{each:.2f}" for each in seconds)
