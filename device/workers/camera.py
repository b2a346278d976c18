"""The camera worker: pictures in, H.264 out to the daemon, commands in."""

from __future__ import annotations

import sys
import time
import zlib
from typing import TYPE_CHECKING

import numpy as np

from device.errors import SourceError
from device.jobs import CameraJob
from device.media.planes import writable
from device.media.stillness import Stillness
from device.workers.encoding import Encoding
from device.workers.link import Link, serve

if TYPE_CHECKING:
    from device.media.picture import Picture
    from device.workers.encoding import Source

_LOOK_S, _STILL_S = 1.0, 30.0


def main() -> int:
    return serve(lambda link: _capture(link, CameraJob(**link.settings)))


def _capture(link: Link, job: CameraJob) -> None:
    # Nothing is closed at the end: a driver may hang in that, and the end of the process frees its device.
    source = open_source(job)
    encoding = Encoding(link, job, source)
    darkness = Darkness(link)
    for picture in source.pictures():
        for command in link.commands():
            link.reply(command, encoding.obey(command))
        encoding.encode(picture)
        darkness.look(picture)


class Darkness:
    """Tells of a picture that does not change by a bit: a sensor that lives has noise."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._stillness = Stillness(limit_s=_STILL_S)
        self._look_at = 0.0
        self._before = 0

    def look(self, picture: Picture) -> None:
        """Look at a picture, once a second; that costs a millisecond."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_S
        with picture.mapped() as frame:
            luma = zlib.crc32(np.ascontiguousarray(writable(frame)[0]).data)  # without the padding of its rows
        still = self._stillness.saw(now, same=luma == self._before)
        self._before = luma
        if still is not None:
            self._link.notice(f"the picture has not changed by a bit for {_STILL_S:.0f} s" if still else "")


def open_source(job: CameraJob) -> Source:
    """Import and open the source that is asked for; the others' libraries stay out of this process."""
    match job.source:
        case "pattern":
            from device.sources.pattern import PatternSource

            return PatternSource(width=job.width, height=job.height, fps=job.fps, identity=job.identity)
        case "file":
            from device.sources.clip import VideoClip

            return VideoClip(path=job.path, width=job.width, height=job.height, fps=job.fps, epoch_us=job.epoch_us)
        case "picamera2":
            from device.sources.picamera2 import Picamera2Source

            return Picamera2Source(job)
    raise SourceError(f"there is no camera source {job.source!r}")


if __name__ == "__main__":
    sys.exit(main())
