"""The viewer page in Chromium, with a real server and daemon."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

from device.viewer.bundle import VENDOR
from tests.support import daemon as daemons
from tests.support.chromium import NEEDS_CHROMIUM, PHONE, open_page, shoot, until, until_live
from tests.support.clips import clip
from tests.support.livekit_server import Server, livekit_server
from tests.support.operator_client import operator_token
from tests.support.viewer_process import viewer_process

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = NEEDS_CHROMIUM


def test_page_shows_picture_sound_and_state(server: Server, room: str, config: Path) -> None:
    variables = daemons.environment(server, room, DEVICE_ROOM__DISPLAY_NAME="Front door")
    with daemons.running(config, variables), viewer_process(config, variables) as url, open_page(url) as page:
        stats = until_live(page)
        assert (stats["width"], stats["height"]) == (1280, 720)
        until(page, "viewer.stats.fps > 20 && viewer.stats.bitrate_bps > 100_000")
        assert until(page, "viewer.stats.latency_ms") < 2000
        until(page, "document.body.innerText.includes('Front door')")
        until(page, "/live/i.test(document.body.innerText)")
        # The white flash of each second, as the browser shows it: colours are right end to end.
        until(page, _PIXEL_IS_WHITE)
        shoot(page, "pattern")


_PIXEL_IS_WHITE = """() => {
  const video = document.querySelector('video');
  const canvas = document.createElement('canvas');
  canvas.width = 64; canvas.height = 36;
  const context = canvas.getContext('2d', {willReadFrequently: true});
  context.drawImage(video, 0, 0, 64, 36);
  const [red, green, blue] = context.getImageData(48, 5, 1, 1).data;
  return Math.min(red, green, blue) > 225;
}"""


_PIXEL_IS_DARK = """() => {
  const canvas = document.createElement('canvas');
  canvas.width = 64; canvas.height = 36;
  const context = canvas.getContext('2d', {willReadFrequently: true});
  context.drawImage(document.querySelector('video'), 0, 0, 64, 36);
  const [red, green, blue] = context.getImageData(60, 3, 1, 1).data;
  return Math.max(red, green, blue) < 60;
}"""


def test_phone(server: Server, room: str, config: Path) -> None:
    variables = daemons.environment(server, room, DEVICE_ROOM__DISPLAY_NAME="Front door")
    with (
        daemons.running(config, variables),
        viewer_process(config, variables) as url,
        open_page(url, size=PHONE) as page,
    ):
        until_live(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        shoot(page, "phone")


def test_clip(server: Server, room: str, config: Path) -> None:
    film = clip("bigbuckbunny.mp4")
    variables = daemons.environment(
        server,
        room,
        DEVICE_CAMERA__SOURCE="file",
        DEVICE_CAMERA__PATH=film,
        DEVICE_MICROPHONE__SOURCE="file",
        DEVICE_MICROPHONE__PATH=film,
    )
    with daemons.running(config, variables), viewer_process(config, variables) as url, open_page(url) as page:
        until(page, "viewer.state === 'live' && viewer.stats.frames > 60 && viewer.stats.audio_level > 0.001")
        shoot(page, "clip")


def test_slate_until_the_camera_appears(server: Server, room: str, config: Path, tmp_path: Path) -> None:
    """Chromium accepts one still picture of another size, repeated, and then the live one."""
    film = tmp_path / "camera.mp4"
    variables = daemons.environment(
        server,
        room,
        DEVICE_ROOM__DISPLAY_NAME="Front door",
        DEVICE_CAMERA__SOURCE="file",
        DEVICE_CAMERA__PATH=str(film),
    )
    with daemons.running(config, variables), viewer_process(config, variables) as url, open_page(url) as page:
        until(page, "viewer.stats.frames > 2 && viewer.stats.height === 360")
        until(page, _PIXEL_IS_DARK)
        shoot(page, "slate")
        film.symlink_to(clip("bigbuckbunny.mp4"))
        until(page, "viewer.stats.height === 720 && viewer.stats.fps > 15")
        shoot(page, "slate-over")


def test_page_goes_on_when_the_device_returns(server: Server, room: str, config: Path) -> None:
    variables = daemons.environment(server, room)
    with viewer_process(config, variables) as url, open_page(url) as page:
        until(page, "viewer.state === 'waiting-device'")
        until(page, f"document.body.innerText.includes('{room}')")
        shoot(page, "waiting")
        for _ in range(2):
            with daemons.running(config, variables):
                until(page, "viewer.state === 'live'")
            until(page, "viewer.state === 'waiting-device'")


def test_page_goes_on_when_the_server_returns(room: str, config: Path) -> None:
    with livekit_server(prefer=(0, 0)) as own:
        variables = daemons.environment(own, room)
        with daemons.running(config, variables), viewer_process(config, variables) as url, open_page(url) as page:
            until_live(page)
            own.kill()
            until(page, "viewer.state !== 'live'")
            own.start()
            until(page, "viewer.state === 'live'")


CAMERAS = """
[cameras.garden]
source = "pattern"
width = 640
height = 480
fps = 10
[cameras.yard]
source = "file"
path = "there-is-none.mp4"
[microphones.hall]
source = "tone"
"""


def test_page_shows_every_camera(server: Server, room: str, config: Path) -> None:
    config.write_text(CAMERAS)
    small = {"DEVICE_CAMERA__WIDTH": "640", "DEVICE_CAMERA__HEIGHT": "360", "DEVICE_CAMERA__FPS": "15"}
    variables = daemons.environment(
        server, room, DEVICE_ROOM__DISPLAY_NAME="Front door", DEVICE_LOG__LEVEL="debug", **small
    )
    with daemons.running(config, variables) as daemon, viewer_process(config, variables) as url, open_page(url) as page:
        until(page, "viewer.cameras.length === 3 && viewer.cameras.every((each) => each.live && each.width)")
        found = {each["name"]: each for each in page.evaluate("viewer.cameras")}
        assert list(found) == ["camera", "garden", "yard"]
        sizes = {name: (each["width"], each["height"]) for name, each in found.items()}
        assert sizes == {"camera": (640, 360), "garden": (640, 480), "yard": (640, 360)}
        assert found["garden"]["caption"].startswith("garden 640 \N{MULTIPLICATION SIGN} 480, ")
        until(page, "viewer.stats.audio_level > 0.005")
        assert page.evaluate("document.querySelectorAll('audio').length") == 2
        page.click("#sound")
        assert page.evaluate("[...document.querySelectorAll('audio')].every((each) => each.muted)")
        assert page.evaluate(_OVERLAPS) == []
        shoot(page, "cameras")
        page.set_viewport_size(PHONE)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert page.evaluate(_OVERLAPS) == []
        until(page, "viewer.cameras.every((each) => each.live)")
        shoot(page, "cameras-phone")
        # A worker that is stopped for good: its slate follows, and the others go on.
        frames = page.evaluate("viewer.cameras[0].frames")
        os.kill(daemon.event("worker.spawned", worker="garden")["pid"], signal.SIGKILL)
        daemon.event("worker.state", worker="garden", old="live")
        until(page, f"viewer.cameras[0].frames > {frames} + 30 && viewer.state === 'live'")
        daemon.event("worker.state", worker="garden", new="live", since=len(daemon.lines) - 200)
        assert page.evaluate("viewer.cameras.length") == 3


# Pairs of pictures that cover each other, and pictures without a visible area.
_OVERLAPS = """() => {
  const boxes = [...document.querySelectorAll('figure')].map((each) => each.getBoundingClientRect());
  return boxes.flatMap((one, index) => [
    ...(one.width < 100 || one.height < 100 ? [[index, one.width, one.height]] : []),
    ...boxes.slice(index + 1).filter((other) => one.left < other.right && other.left < one.right
      && one.top < other.bottom && other.top < one.bottom),
  ]);
}"""


def test_a_page_asks_the_device(server: Server, room: str, config: Path) -> None:
    """With LiveKit's client in a browser, as docs/control.md shows."""
    allow = json.dumps([{"identity": "ops-*", "operations": ["status", "snapshot"]}])
    variables = daemons.environment(server, room, DEVICE_CONTROL__ALLOW=allow, DEVICE_LOG__LEVEL="debug")
    with daemons.running(config, variables) as daemon, viewer_process(config, variables) as url, open_page(url) as page:
        daemon.event("device.state", new="live", within_s=30)
        page.goto(server.url.replace("ws", "http", 1))  # any page without the policy of ours
        page.add_script_tag(path=VENDOR / "livekit-client.umd.js")
        found = page.evaluate(_ASK, [server.url, operator_token(server, room, identity="ops-1")])
        assert (found["status"]["state"], found["status"]["identity"]) == ("live", "device")
        assert found["refused"] == [403, "rejoin is not allowed for this identity"]
        assert (found["picture"], found["bytes"] > 1000) == ("image/jpeg", True)


_ASK = """async ([url, token]) => {
  const room = new LivekitClient.Room();
  const streams = new Map();
  const stream = (id) => {
    if (!streams.has(id)) streams.set(id, Promise.withResolvers());
    return streams.get(id);
  };
  room.registerByteStreamHandler('device.answer', async (reader) => {
    stream(reader.info.id).resolve(new Blob(await reader.readAll()));
  });
  await room.connect(url, token, {autoSubscribe: false});
  const call = async (method, values) => JSON.parse(await room.localParticipant.performRpc({
    destinationIdentity: 'device', method: `device.${method}`, payload: values ? JSON.stringify(values) : '',
  }));
  const status = await call('status');
  const refused = await call('rejoin').catch((error) => [error.code, error.message]);
  const answer = await call('snapshot', {max_width: 320});
  const {size} = await stream(answer.stream).promise;
  await room.disconnect();
  return {status, refused, picture: answer.type, bytes: size};
}"""
