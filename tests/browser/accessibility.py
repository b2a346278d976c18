"""The viewer page under axe-core, in each of its faces: `make integration`, by hand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.browser.test_talk import GRANTED, IDLE, holding, until_speakers
from tests.browser.test_viewer_elsewhere import SMALL
from tests.browser.test_viewer_playback import STRICT, UNWILLING
from tests.support import daemon as daemons
from tests.support.chromium import NEEDS_CHROMIUM, open_page, until
from tests.support.talked_to import talked_to
from tests.support.viewer_process import viewer_process

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.support.livekit_server import Server

pytestmark = NEEDS_CHROMIUM

_AXE = Path(__file__).parent / "axe/node_modules/axe-core/axe.min.js"  # tests/faults/prepare_integration.sh
_FOUND = "axe.run().then(({violations}) => violations.map(({id, nodes}) => [id, ...nodes.map((each) => each.html)]))"


def _violations(page: Page, face: str) -> list[str]:
    page.evaluate(_AXE.read_text())
    found: list[list[str]] = page.evaluate(_FOUND)
    checked = page.evaluate("axe.run().then(({passes}) => passes.length)")
    sys.stdout.write(f"axe-core, {face}: {checked} rules hold, {len(found)} do not\n")
    return [f"{face}: {each}" for each in found]


def test_axe_finds_nothing(server: Server, room: str, config: Path) -> None:
    config.write_text('[cameras.garden]\nsource = "pattern"\nwidth = 320\nheight = 180\nfps = 5\n')
    variables = daemons.environment(server, room, DEVICE_ROOM__DISPLAY_NAME="Front door", **SMALL)
    found = []
    with viewer_process(config, variables, bind="0.0.0.0:0") as link:
        parts = urlsplit(link)
        url = f"http://127.0.0.1:{parts.port}/"
        with open_page(url, script=UNWILLING, arguments=STRICT) as page:
            until(page, "viewer.state === 'refused'")
            found += _violations(page, "no access")
            page.evaluate("(key) => { location.hash = key; }", parts.fragment)
            until(page, "viewer.state === 'waiting-device'")
            found += _violations(page, "waiting")
            with daemons.running(config, variables):
                until(page, "viewer.state === 'paused' && viewer.cameras.length === 2")
                found += _violations(page, "paused")
                page.click("#play")
                until(page, "viewer.state === 'live' && viewer.cameras.every((each) => each.live)")
                found += _violations(page, "live")
                page.set_viewport_size({"width": 375, "height": 667})
                found += _violations(page, "live, on a phone")
    with (
        talked_to(server, room) as device,
        viewer_process(config, variables, "--talk") as link,
        open_page(link, arguments=GRANTED) as page,
    ):
        until(page, IDLE)
        found += _violations(page, "ready to talk")
        with holding(page):
            until_speakers(page, "hears")
            found += _violations(page, "talking")
        until_speakers(page, "idle")
        device.set(talker="agent-7")
        until_speakers(page, "busy")
        found += _violations(page, "busy")
        device.set(talker="", speaker="absent: unplugged")
        until_speakers(page, "out")
        found += _violations(page, "no speaker")
    assert found == []
