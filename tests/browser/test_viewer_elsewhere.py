"""The viewer page on another machine than the device's: its link, its names, the room's addresses."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.support import daemon as daemons
from tests.support.chromium import ARGUMENTS, NEEDS_CHROMIUM, open_page, until
from tests.support.ports import free_port
from tests.support.viewer_process import viewer_process

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.livekit_server import Server

pytestmark = NEEDS_CHROMIUM

SMALL = {"DEVICE_CAMERA__WIDTH": "320", "DEVICE_CAMERA__HEIGHT": "180", "DEVICE_CAMERA__FPS": "10"}
# Each text about trouble, also if it is there for a moment only.
LISTENER = """addEventListener("DOMContentLoaded", () => {
  window.texts = [];
  const more = document.getElementById("more");
  new MutationObserver(() => texts.push(more.textContent)).observe(more, {childList: true});
})"""
WORDS = "document.getElementById('more').textContent"


def _elsewhere(port: int) -> tuple[str, ...]:
    """Return the arguments of a browser whose network has the device as box.lan, where nothing listens on this port."""
    name = socket.gethostname().partition(".")[0]
    rules = f"MAP {name}.lan:{port} 127.0.0.1:{free_port(0)}, MAP {name}.lan 127.0.0.1, MAP room.lan 127.0.0.1"
    return (*ARGUMENTS, f"--host-resolver-rules={rules}")


def test_the_whole_link_opens_the_page_and_every_address_of_the_room_is_tried(
    server: Server, room: str, config: Path
) -> None:
    """The device reaches the first address, on its own loopback, and this browser the second one alone."""
    variables = daemons.environment(server, room, **SMALL)
    port = urlsplit(server.url).port
    assert port
    config.write_text(f'[room]\nurl = ["{server.url}", "ws://room.lan:{port}"]\n')
    served = {name: value for name, value in variables.items() if name != "DEVICE_ROOM__URL"}
    name = socket.gethostname().partition(".")[0]
    with daemons.running(config, variables), viewer_process(config, served, bind="0.0.0.0:0") as link:
        parts = urlsplit(link)
        assert parts.hostname not in ("127.0.0.1", "0.0.0.0")
        page_url = f"http://{name}.lan:{parts.port}/"
        with open_page(page_url, script=LISTENER, arguments=_elsewhere(port)) as page:
            until(page, "viewer.state === 'refused'")
            assert "it ends with # and a key" in page.evaluate(WORDS)
            page.evaluate("location.hash = '#not-this-one'")
            until(page, f"{WORDS}.includes('This link is not valid')")
            assert page.evaluate("viewer.joins") == 0
            page.evaluate("(key) => { location.hash = key; }", parts.fragment)
            until(page, "viewer.state === 'live'")
            (said,) = {each for each in page.evaluate("texts") if "an address of the device itself" in each}
            assert f"{name}.lan:{port}" in said
            assert page.evaluate("new URL(viewer.room.engine.url).hostname") == "room.lan"
            rights = page.evaluate("viewer.room.localParticipant.permissions")
            given = [
                right
                for right in ("canSubscribe", "canPublish", "canPublishData", "canUpdateMetadata")
                if rights[right]
            ]
            assert given == ["canSubscribe"]
