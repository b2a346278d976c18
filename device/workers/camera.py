"""The camera worker: pictures in, H.264 out to the daemon, commands in."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol

from device.errors import EncoderError, SourceError
from device.workers.jobs import CameraJob
from device.workers.link import Link, settle_in

if TYPE_CHECKING:
    from device.encoders.unit import AccessUnit, Encoder, Sink

# Before the first estimate of the link arrives: what WebRTC's own encoders begin a 720p stream with, about.
_FIRST_BITRATE_BPS = 1_000_000


class Source(Protocol):
    """What yields pictures; see `device.sources`."""

    name: str
    pixel_format: str
    width: int
    height: int
    fps: int

    def pictures(self) -> Any: ...
    def close(self) -> None: ...


def main() -> int:
    settle_in()
    link = Link.of_file_descriptor(int(sys.argv[1]))
    try:
        _capture(link, CameraJob(**link.settings))
    except Exception as error:  # the daemon must hear of whatever ends this process  # noqa: BLE001
        link.failed(error)
        return 1
    return 0


def _capture(link: Link, job: CameraJob) -> None:
    source = open_source(job)

    def send(unit: AccessUnit) -> None:
        link.unit(
            unit.payload,
            key=unit.key,
            width=unit.width,
            height=unit.height,
            frame_id=unit.number,
            captured_at_us=unit.captured_at_us,
        )

    encoder = open_encoder(job, source, send)
    link.hello(source=source.name, encoder=encoder.name, width=source.width, height=source.height, fps=source.fps)
    # Until the first feedback every unit is a key frame: the SDK loses the first ones after a publication.
    wishes = Wishes(encoder)
    try:
        for picture in source.pictures():
            for command in link.commands():
                link.reply(command, wishes.obey(command))
            encoder.encode(picture, key=wishes.take_key())
    finally:
        source.close()
        encoder.close()


class Wishes:
    """What the daemon wants of the encoder, as its commands have said so far."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._all_keys = True
        self._next_key = True

    def obey(self, command: dict[str, Any]) -> str:
        """Carry out one command; return what is wrong with it, or an empty text."""
        match command:
            case {"name": "key_frame"}:
                self._next_key = True
            case {"name": "all_key_frames", "value": bool(wanted)}:
                self._all_keys = wanted
            case {"name": "bitrate", "value": int(bitrate_bps)} if bitrate_bps > 0:
                self._encoder.set_bitrate(bitrate_bps)
            case _:
                return "unknown command or value"
        return ""

    def take_key(self) -> bool:
        """Say whether the next picture must be a key frame."""
        key = self._all_keys or self._next_key
        self._next_key = False
        return key


def open_source(job: CameraJob) -> Any:
    """Import and open the source that is asked for; the others' libraries stay out of this process."""
    match job.source:
        case "pattern":
            from device.sources.pattern import PatternSource

            return PatternSource(width=job.width, height=job.height, fps=job.fps, identity=job.identity)
        case "file":
            from device.sources.clip import VideoClip

            return VideoClip(path=job.path, width=job.width, height=job.height, fps=job.fps, epoch_us=job.epoch_us)
    raise SourceError(f"there is no camera source {job.source!r}")


def open_encoder(job: CameraJob, source: Any, sink: Sink) -> Encoder:
    """Open the encoder that is asked for, on the source's own terms."""
    if job.encoder == "v4l2":
        raise EncoderError(f"the board's encoder does not take pictures of source {job.source!r}; use x264 or auto")
    from device.encoders.x264 import X264Encoder

    return X264Encoder(
        width=source.width,
        height=source.height,
        pixel_format=source.pixel_format,
        fps=source.fps,
        bitrate_bps=_FIRST_BITRATE_BPS,
        bitrate_max_bps=job.bitrate_max_bps,
        keyframe_interval_s=job.keyframe_interval_s,
        colour=source.colour,
        sink=sink,
    )


if __name__ == "__main__":
    sys.exit(main())
