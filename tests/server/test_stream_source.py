"""IP cameras: a real RTSP server, the real daemon, and a subscriber that decodes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from device.check import streams
from device.errors import SourceError
from tests.support import daemon as daemons
from tests.support.configs import config_of
from tests.support.films import FPS, film
from tests.support.mjpeg import mjpeg_camera
from tests.support.rtsp import PASSWORD, RtspSite, h264_of, rtsp_site
from tests.support.watcher import Watcher, dominant_hz, watching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from device.config.effective import Camera, Microphone
    from tests.support.livekit_server import Server

GOP_S = 8
ROOM = {"room": {"url": "ws://127.0.0.1:1"}}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtspSite]:
    folder = tmp_path_factory.mktemp("films")
    long = film(folder / "long.mp4", size=(320, 180), gop=GOP_S * FPS, times=range(120 * FPS))
    bframes = film(folder / "bframes.mp4", size=(320, 180), bframes=2, gop=FPS, times=range(60 * FPS))
    tone = "audiotestsrc is-live=true freq=440 ! audio/x-raw,rate=16000,channels=1 ! audioconvert ! rtpL16pay name=pay1"
    served = {"long": h264_of(long), "bframes": h264_of(bframes), "both": f"{h264_of(long)} {tone}"}
    with rtsp_site(served, protected=True) as site:
        yield site


def variables(server: Server, room: str, url: str, **others: str) -> dict[str, str]:
    stream = {"DEVICE_CAMERA__SOURCE": "stream", "DEVICE_CAMERA__URL": url, "DEVICE_MICROPHONE__SOURCE": "off"}
    return daemons.environment(server, room, **(stream | others))


def assert_no_secret(daemon: daemons.Daemon, watcher: Watcher) -> None:
    seen = "\n".join(daemon.text) + str(watcher.attributes("device"))
    assert PASSWORD not in seen
    assert "/long" not in seen  # the path may be a secret too


@pytest.mark.alone
def test_h264_is_passed_through_and_a_late_viewer_has_a_picture_within_a_second(
    server: Server, room: str, config: Path, site: RtspSite
) -> None:
    async def scenario() -> None:
        async with watching(server, room) as first:
            with daemons.running(config, variables(server, room, site.url("long"))) as daemon:
                line = await asyncio.to_thread(daemon.event, "worker.capturing")
                assert (line["source"], line["encoder"]) == ("stream", "copy")
                await first.until(lambda: numbers(first) > FPS, within_s=15, what="a second of pictures")
                waits = []
                for number in range(3):  # in the middle of a group of pictures of 8 s
                    began = time.monotonic()
                    async with watching(server, room, identity=f"late-{number}") as late:
                        await late.until(lambda: numbers(late) > 0, within_s=GOP_S, what="a picture")
                        waits.append(time.monotonic() - began)
                assert sorted(waits)[1] < 1.5, waits  # with joining and subscribing, half a second
                assert_no_secret(daemon, first)

    asyncio.run(scenario())


@pytest.mark.alone
@pytest.mark.parametrize(("name", "why"), (("bframes", "it has B-frames"), ("mjpeg", "it is mjpeg")))
def test_what_cannot_be_passed_through_is_encoded(  # noqa: PLR0917 - fixtures
    server: Server, room: str, config: Path, site: RtspSite, name: str, why: str
) -> None:
    async def scenario() -> None:
        async with watching(server, room) as watcher:
            with (
                mjpeg_camera() as mjpeg,
                daemons.running(
                    config, variables(server, room, site.url(name) if name == "bframes" else mjpeg)
                ) as daemon,
            ):
                line = await asyncio.to_thread(daemon.event, "camera.not_passed_through")
                assert why in line["why"]
                line = await asyncio.to_thread(daemon.event, "worker.capturing")
                assert (line["source"], line["encoder"]) == ("stream", "x264")
                await watcher.until(lambda: len(watcher.pictures) > FPS, within_s=15, what="a second of pictures")

    asyncio.run(scenario())


def test_the_sound_of_the_same_url_is_heard(server: Server, room: str, config: Path, site: RtspSite) -> None:
    sound = {"DEVICE_MICROPHONE__SOURCE": "stream"}

    async def scenario() -> None:
        async with watching(server, room) as watcher:
            with daemons.running(config, variables(server, room, site.url("both"), **sound)) as daemon:
                await watcher.until(lambda: len(watcher.sound) > 200, within_s=20, what="sound")
                assert dominant_hz(list(watcher.sound)[-100:]) == pytest.approx(440, abs=5)
                assert numbers(watcher) > 0
                assert_no_secret(daemon, watcher)

    asyncio.run(scenario())


def test_check_names_the_stream_and_what_follows(site: RtspSite) -> None:
    def camera(name: str, **others: object) -> Camera:
        return config_of(ROOM | {"camera": {"source": "stream", "url": site.url(name), **others}}).camera

    origin = f"rtsp://127.0.0.1:{site.port}"
    assert streams.of_camera(camera("bframes")) == (
        f"{origin}: h264 320x180, 30 frames/s, B-frames, a key frame each 1.0 s, "
        "is encoded by x264, because it has B-frames"
    )
    with pytest.raises(SourceError, match="it has B-frames; use encoder"):
        streams.of_camera(camera("bframes", encoder="copy"))
    text = streams.of_camera(camera("long"))
    assert text.startswith(
        f"{origin}: h264 320x180, 30 frames/s, no B-frames, a key frame each 8.0 s, is passed through"
    )

    def microphone(name: str) -> Microphone:
        return config_of(ROOM | {"microphone": {"source": "stream", "url": site.url(name)}}).microphone

    assert streams.of_microphone(microphone("both")) == f"{origin}: pcm_s16be, 16000 Hz, mono"
    with pytest.raises(SourceError, match=r"cannot be opened|has no sound") as caught:
        streams.of_microphone(microphone("long"))
    assert PASSWORD not in str(caught.value)


def test_a_camera_that_is_frozen_or_gone_is_a_slate_until_it_is_back(
    server: Server, room: str, config: Path, site: RtspSite
) -> None:
    async def scenario() -> None:
        async with watching(server, room) as watcher:
            with daemons.running(config, variables(server, room, site.url("long"))) as daemon:
                await watcher.until(lambda: numbers(watcher) > FPS, within_s=20, what="pictures")
                site.freeze(on=True)
                await watcher.until(lambda: state(watcher).startswith("stalled"), within_s=15, what="stalled")
                site.freeze(on=False)
                await watcher.until(lambda: state(watcher) == "live", within_s=20, what="live")
                site.kill()
                await watcher.until(lambda: state(watcher).startswith("stalled"), within_s=15, what="stalled")
                site.start()
                await watcher.until(lambda: state(watcher) == "live", within_s=20, what="live")
                assert_no_secret(daemon, watcher)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("name", "password", "why"),
    (("long", "wrong-zq", "the user or the password in the URL is wrong"), ("none", PASSWORD, "404 Not Found")),
)
def test_a_refusal_is_named_without_the_url(  # noqa: PLR0917 - fixtures
    server: Server, room: str, config: Path, site: RtspSite, name: str, password: str, why: str
) -> None:
    file = config.parent / "url"
    file.write_text(site.url(name, password=password) + "\n")
    given = {"DEVICE_CAMERA__URL": "", "DEVICE_CAMERA__URL_FILE": str(file), "DEVICE_CAMERA__ENCODER": "x264"}
    with daemons.running(config, variables(server, room, "", **given)) as daemon:
        line = daemon.until(lambda line: line.get("event") == "worker.restarting", within_s=15)
        assert why in line["why"]
        assert "zq" not in "\n".join(daemon.text)


def numbers(watcher: Watcher) -> int:
    return sum(each.reading is not None for each in watcher.pictures)


def state(watcher: Watcher) -> str:
    return watcher.attributes("device").get("device.camera", "")
