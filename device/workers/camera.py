"""The camera worker: captures pictures, sends H.264 to the daemon, carries out its requests."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from device.errors import SourceError, WireError
from device.heap import keep_freed_pictures
from device.ipc.messages import CameraJob, Capturing, Dropped, SetControls, SetNight, SetPaused, TakeSnapshot
from device.ipc.worker_link import WorkerLink, serve
from device.sources.orientation import sensor_flips, turns_left
from device.workers.drops import DropLog
from device.workers.encoding import Encoding
from device.workers.named import damage_log, named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from device.media.picture import Picture
    from device.sources.picamera2 import Picamera2Source
    from device.workers.encoding import Source
    from device.workers.night import Night, NightSource
    from device.workers.pausing import Pausing
    from device.workers.snapshot import Snapshots


@runtime_checkable
class Adjustable(Protocol):
    """A source with controls that can be set while it captures."""

    def set_controls(self, wanted: Mapping[str, Any]) -> None:
        """Set these controls. Raises SourceError if one is unknown or has a wrong value."""


def main() -> int:
    return serve(_run)


def _run(link: WorkerLink) -> None:
    job = link.job
    if not isinstance(job, CameraJob):
        raise WireError("a camera worker needs a camera's job")
    # Nothing is closed at the end: a driver may hang in close(), and the end of the process frees the device.
    if job.source == "auto":
        from device.sources.automatic import camera_source

        job = replace(job, source=camera_source(job.device))
    with named(job.source, job.path):
        if job.source == "v4l2" and job.encoder in ("auto", "copy") and not job.night.get("enabled"):
            from device.workers.v4l2_copy import pass_through

            pass_through(link, job)  # returns if the pictures have to be encoded here
            _capture(link, job)
        elif job.encoder == "copy" and job.source == "file":
            _pass_through(link, job)
        else:
            _capture(link, job)


def _capture(link: WorkerLink, job: CameraJob) -> None:
    from device.workers.freeze_detector import FreezeDetector  # imports PyAV; only for decoded pictures

    captured = source = open_source(job, link)
    if turns := turns_left(job, captured):
        from device.sources.turned import TurnedSource

        source = TurnedSource(captured, turns)
    encoding = Encoding(link, job, source)
    freeze_detector = FreezeDetector(link)
    night = _night(link, job, captured, encoding)
    keep_freed_pictures()
    drops = DropLog(
        lambda counts: link.log("info", "camera.frames_dropped", **counts),
        lambda totals: link.send(Dropped(totals=totals)),
    )
    snapshots: Snapshots | None = None
    pausing: Pausing | None = None
    for picture in source.pictures():
        full: Picture | None = None
        for request in link.requests():
            if isinstance(request.message, TakeSnapshot):
                snapshots = snapshots or _snapshots(link)
                if request.message.full and full is None and source is captured and not snapshots.busy:
                    full = _full_picture(captured)
                snapshots.of_picture(request, full or picture, source.colour, full=full is not None)
                continue
            if isinstance(request.message, SetPaused):
                pausing = pausing or _pausing(link)
                pausing.pause(paused=request.message.paused)
            link.reply(request, _carry_out(request.message, captured, encoding, night))
        if full is not None:
            continue  # the picture was the camera's, which has changed its mode meanwhile
        if pausing is None or not pausing.skips():
            encoding.encode(picture)
        freeze_detector.check(picture)
        if night is not None:
            night.check(picture)
        drops.update(
            time.monotonic(),
            late=source.missed,
            rate_limit=encoding.rate_limited,
            bitrate_budget=encoding.over_budget,
            encoder_busy=encoding.busy,
        )


def _pausing(link: WorkerLink) -> Pausing:
    from device.workers.pausing import Pausing

    return Pausing(link)


def _snapshots(link: WorkerLink) -> Snapshots:
    from device.workers.snapshot import Snapshots

    return Snapshots(link)


def _full_picture(source: Source) -> Picture | None:
    """Return a picture of the sensor's full size; None if the source has none that is larger than the stream's."""
    if source.name != "picamera2":
        return None
    from device.sources.full_size import full_picture

    return full_picture(cast("Picamera2Source", source))


def _night(link: WorkerLink, job: CameraJob, camera: Source, encoding: Encoding) -> Night | None:
    if not job.night.get("enabled"):
        return None
    from device.workers.night import Night

    if not hasattr(camera, "set_mode"):
        link.log("warning", "camera.night_unusable", why=f"source {camera.name} cannot change while it captures")
        return None
    return Night(link, job, cast("NightSource", camera), encoding)


def _carry_out(request: object, source: Source, encoding: Encoding, night: Night | None) -> str:
    """Carry out one request; return what is wrong with it, or an empty text."""
    try:
        match request:
            case SetNight(night=table):
                if night is not None:
                    night.follow(table)
            case SetControls(controls=controls) if night is not None:
                night.set_controls(controls)
            case SetControls(controls=controls):
                if isinstance(source, Adjustable):  # others have no controls, and ignore them at their start as well
                    source.set_controls(controls)
            case _:
                return encoding.carry_out(request)
    except SourceError as error:
        return str(error)
    return ""


def _pass_through(link: WorkerLink, job: CameraJob) -> None:
    from device.sources.encoded_clip import EncodedClip
    from device.workers.bridged_copy import BridgedCopy
    from device.workers.passing import pass_through

    source = EncodedClip(path=job.path, epoch_us=job.epoch_us, on_damage=damage_log(link, "camera.file_damaged"))
    link.capturing(
        Capturing(source=source.name, encoder=job.encoder, width=source.width, height=source.height, fps=source.fps)
    )
    pass_through(link, BridgedCopy(job, fps=source.fps, sink=link.unit), source.units())


def open_source(job: CameraJob, link: WorkerLink) -> Source:
    """Import and open the configured source. The libraries of other sources are not loaded."""
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
        case "stream":
            from device.workers.network_camera import open_network_video

            return open_network_video(link, job)
        case "picamera2":
            from device.sources.picamera2 import Picamera2Source

            return Picamera2Source(job)
        case "v4l2":
            from device.sources.v4l2.camera import V4l2Source

            hflip, vflip = sensor_flips(job)
            flipping = replace(job, hflip=hflip, vflip=vflip)
            return V4l2Source(flipping, on_difference=lambda text: link.log("warning", "camera.mode_differs", why=text))
    raise SourceError(f"there is no camera source {job.source!r}", for_viewers="the source is unknown")


if __name__ == "__main__":
    sys.exit(main())
