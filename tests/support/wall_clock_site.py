"""An IP camera, run by Debian's Python, that flashes and beeps at each whole second of the wall clock.

Its argument is a JSON object: `port`, `units` (a file with one second of H.264: each access unit behind its length in
4 bytes), `fps`, `picture_late_ms` and `sound_late_ms` (from capture until it is sent), `sound_ppm` (by how much its
sound card's clock is too fast). Each line on its standard input pauses a medium: `picture 2.0` or `sound 2.0`.
"""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-not-found]  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    Chunk = tuple[float, float, bytes]  # when it was captured, when it was complete, and its data

_RATE, _BLOCK = 16_000, 320
_SOURCE = "is-live=true format=time leaky-type=downstream"
_PIPELINE = (
    f"( appsrc name=picture {_SOURCE} caps=video/x-h264,stream-format=byte-stream,alignment=au ! h264parse ! "
    f"rtph264pay name=pay0 pt=96 config-interval=0 appsrc name=sound {_SOURCE} "
    f"caps=audio/x-raw,format=S16BE,rate={_RATE},channels=1,layout=interleaved ! "
    "rtpL16pay name=pay1 pt=97 perfect-rtptime=false )"  # after a pause its times are those of capture
)
_BEEP_S = 0.1


class Camera:
    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._units = list(_units(Path(options["units"])))
        self._paused_until = {"picture": 0.0, "sound": 0.0}
        # One second of a quiet tone with a beep at its start: what tests.bench measures.
        self._second = array(
            "h",
            (
                round(
                    9800 * math.sin(2 * math.pi * 1000 * at / _RATE)
                    if at < _BEEP_S * _RATE
                    else 1600 * math.sin(2 * math.pi * 440 * at / _RATE)
                )
                for at in range(_RATE)
            ),
        )

    def pause(self, medium: str, for_s: float) -> None:
        self._paused_until[medium] = time.time() + for_s

    def on_media(self, _factory: Any, media: Any) -> None:
        ended = threading.Event()
        media.connect("unprepared", lambda _media: ended.set())
        for medium, chunks in (("picture", self._pictures()), ("sound", self._sound())):
            source = media.get_element().get_by_name(medium)
            arguments = (medium, source, chunks, ended)
            threading.Thread(target=self._feed, args=arguments, name=medium, daemon=True).start()

    def _feed(self, medium: str, source: Any, chunks: Iterator[Chunk], ended: threading.Event) -> None:
        late_s = self._options[f"{medium}_late_ms"] / 1000
        for captured_at, complete_at, data in chunks:
            if ended.wait(max(0.0, complete_at + late_s - time.time())):
                return
            clock = source.get_clock()
            if clock is None or time.time() < self._paused_until[medium]:  # not playing yet
                continue
            running_ns = clock.get_time() - source.get_base_time() - int((time.time() - captured_at) * Gst.SECOND)
            if running_ns < 0:
                continue
            buffer = Gst.Buffer.new_wrapped(data)
            buffer.pts = buffer.dts = running_ns
            if source.emit("push-buffer", buffer) == Gst.FlowReturn.FLUSHING and ended.wait(0.01):
                return

    def _pictures(self) -> Iterator[Chunk]:
        fps = self._options["fps"]
        number = math.ceil(time.time() * fps)
        while True:
            yield number / fps, number / fps, self._units[number % fps]
            number += 1

    def _sound(self) -> Iterator[Chunk]:
        rate = _RATE * (1 + self._options["sound_ppm"] / 1e6)
        began_at, count = time.time(), 0
        while True:
            at = began_at + count / rate
            # Between two samples of the table when the clock is off: half a sample is too little to measure.
            block = array("h", (self._second[int((at + each / rate) % 1 * _RATE)] for each in range(_BLOCK)))
            block.byteswap()
            count += _BLOCK
            yield at, began_at + count / rate, block.tobytes()


def _units(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while size := file.read(4):
            yield file.read(int.from_bytes(size, "big"))


def main() -> None:
    options = json.loads(sys.argv[1])
    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=str(options["port"]))
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(_PIPELINE)
    camera = Camera(options)
    factory.connect("media-configure", camera.on_media)
    server.get_mount_points().add_factory("/camera", factory)
    if not server.attach(None):
        sys.exit("cannot listen")
    print("ready", flush=True)
    threading.Thread(target=GLib.MainLoop().run, daemon=True).start()
    for line in sys.stdin:
        medium, for_s = line.split()
        camera.pause(medium, float(for_s))


if __name__ == "__main__":
    main()
