"""The camera worker: pictures in, H.264 out to the daemon, commands in."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from device.errors import SourceError
from device.jobs import CameraJob
from device.workers.encoding import Encoding
from device.workers.link import Link, serve

if TYPE_CHECKING:
    from device.workers.encoding import Source


def main() -> int:
    return serve(lambda link: _capture(link, CameraJob(**link.settings)))


def _capture(link: Link, job: CameraJob) -> None:
    # Nothing is closed at the end: a driver may hang in that, and the end of the process frees its device.
    source = open_source(job)
    encoding = Encoding(link, job, source)
    for picture in source.pictures():
        for command in link.commands():
            link.reply(command, encoding.obey(command))
        encoding.encode(picture)


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
