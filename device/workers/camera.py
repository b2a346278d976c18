"""The camera worker: pictures in, H.264 out to the daemon, commands in."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from device.errors import SourceError
from device.jobs import CameraJob
from device.workers.drops import DropLog
from device.workers.encoding import Encoding
from device.workers.link import Link, serve
from device.workers.named import damage_log, named

if TYPE_CHECKING:
    from device.workers.encoding import Source


def main() -> int:
    return serve(lambda link: _run(link, CameraJob(**link.settings)))


def _run(link: Link, job: CameraJob) -> None:
    # Nothing is closed at the end: a driver may hang in that, and the end of the process frees its device.
    with named(job.source, job.path):
        if job.encoder == "copy":
            _pass_through(link, job)
        else:
            _capture(link, job)


def _capture(link: Link, job: CameraJob) -> None:
    from device.workers.darkness import Darkness  # of decoded pictures

    source = open_source(job, link)
    encoding = Encoding(link, job, source)
    darkness = Darkness(link)
    drops = DropLog(lambda counts: link.log("info", "camera.frames_dropped", **counts))
    for picture in source.pictures():
        for command in link.commands():
            link.reply(command, encoding.obey(command))
        encoding.encode(picture)
        darkness.look(picture)
        drops.look(
            time.monotonic(),
            late=source.missed,
            rate_limit=encoding.rate_limited,
            bitrate_budget=encoding.over_budget,
            encoder_busy=encoding.busy,
        )


def _pass_through(link: Link, job: CameraJob) -> None:
    from device.sources.encoded_clip import EncodedClip

    source = EncodedClip(path=job.path, epoch_us=job.epoch_us, on_damage=damage_log(link, "camera.file_damaged"))
    link.hello(source=source.name, encoder=job.encoder, width=source.width, height=source.height, fps=source.fps)
    source.hold = True  # as encoders begin: what is sent before the room is heard may be lost
    told = False
    for unit in source.units():
        for command in link.commands():
            if command["name"] == "all_key_frames":
                source.hold = bool(command["value"])
            elif not told:
                told = True
                link.log("info", "camera.orders_ignored", why="a file that is passed through is as it is")
            link.reply(command)
        link.unit(unit)


def open_source(job: CameraJob, link: Link) -> Source:
    """Import and open the source that is asked for; the others' libraries stay out of this process."""
    match job.source:
        case "pattern":
            from device.sources.pattern import PatternSource

            return PatternSource(width=job.width, height=job.height, fps=job.fps, identity=job.identity)
        case "file":
            from device.sources.video_clip import VideoClip

            return VideoClip(
                path=job.path,
                width=job.width,
                height=job.height,
                fps=job.fps,
                epoch_us=job.epoch_us,
                on_damage=damage_log(link, "camera.file_damaged"),
            )
        case "picamera2":
            from device.sources.picamera2 import Picamera2Source

            return Picamera2Source(job)
    raise SourceError(f"there is no camera source {job.source!r}", for_viewers="the source is unknown")


if __name__ == "__main__":
    sys.exit(main())
