"""A V4L2 camera as a source of pictures: raw ones, or JPEG that is decoded here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av

from device.errors import SourceError
from device.media.colour import BT601, BT709, Colour
from device.media.picture import FramePicture
from device.sources.controls import NIGHT
from device.sources.pacing import RateLimit
from device.sources.planes import flipped
from device.sources.v4l2 import controls, demuxer, ioctls, modes, nodes
from device.sources.v4l2.latest import Latest
from device.sources.v4l2.offered import ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from av.container import InputContainer

    from device.ipc.messages import CameraJob
    from device.sources.v4l2.structures import PixelFormat

# V4L2's colour spaces. UVC cameras have sRGB's primaries and transfer, with the matrix of BT.601.
_SMPTE170M, _REC709 = 1, 3
_SRGB = Colour(primaries=1, transfer=13, matrix=6, range=1)
_FULL_RANGE = 1
# A camera sends a broken JPEG now and then. Only broken ones: it fails.
_MAX_BROKEN = 30


class V4l2Source:
    """Pictures at most at the configured rate, in the camera's nearest size. `on_difference` gets what it lacks."""

    name = "v4l2"
    pixel_format = "yuv420p"
    lux: float | None = None  # no V4L2 control has it

    def __init__(self, job: CameraJob, *, on_difference: Callable[[str], None] = lambda _text: None) -> None:
        self.node = nodes.find(job.device)
        try:
            with ioctls.opened(self.node.path) as descriptor:
                self.mode = modes.choose(
                    modes.listed(descriptor) or _unlisted(descriptor, job),
                    width=job.width,
                    height=job.height,
                    fps=job.fps,
                )
                offered = self._offered = controls.listed(descriptor)
                self._controls, self.offered = controls.AppliedControls(offered), ranges(offered)
                self.check_night(job.night_controls)  # now, not at nightfall
                self._controls.set(descriptor, job.controls)
                self._flips = controls.apply_flips(descriptor, offered, hflip=job.hflip, vflip=job.vflip)
        except OSError as error:
            raise demuxer.failure(error, self.node, "") from error
        self._container: InputContainer = demuxer.opened(self.node, self.mode)
        context = self._container.streams.video[0].codec_context
        self.width, self.height = int(context.width), int(context.height)
        if text := modes.difference(self.mode, width=job.width, height=job.height, fps=job.fps):
            on_difference(f"{self.node.card} ({self.node.path}): {text}")
        self.fps = max(1, min(job.fps, round(self.mode.rate or job.fps)))
        self._most_fps, self._limit = self.fps, RateLimit(fps=self.fps)
        self.colour = self._colour()
        self._decoder = _decoder(context)
        self._latest = Latest(demuxer.packets(self._container, self.node), name="camera-reader")
        self.missed = 0

    def pictures(self) -> Iterator[FramePicture]:
        """Yield pictures without end. Raises SourceAbsentError when the camera is unplugged."""
        number = broken = 0
        for packet, captured_at_us in self._latest:
            self.missed = self._latest.dropped
            if not self._limit.admits(captured_at_us):
                continue
            try:
                frames = self._decoder.decode(packet)
            except av.error.FFmpegError as error:
                broken += 1
                if broken >= _MAX_BROKEN:
                    raise SourceError(
                        f"{self.node.card} ({self.node.path}) sends pictures that cannot be decoded",
                        for_viewers="the camera delivers broken pictures",
                    ) from error
                continue
            for frame in frames:
                broken = 0
                yield FramePicture(frame=self._fitting(frame), number=number, captured_at_us=captured_at_us)
                number += 1

    def set_controls(self, wanted: Mapping[str, Any]) -> None:
        """Set the controls while capturing. Raises SourceError; then nothing, or only a part, is changed."""
        try:
            with ioctls.opened(self.node.path) as descriptor:
                self._controls.set(descriptor, wanted)
        except OSError as error:
            raise demuxer.failure(error, self.node, "") from error

    def check_night(self, wanted: Mapping[str, Any]) -> None:
        """Raise SourceError if one of the controls of [camera.night] does not fit the camera."""
        controls.checked(wanted, self._offered, table=NIGHT)

    def set_mode(self, wanted: Mapping[str, Any], *, fps: int) -> None:
        """Set controls and leave out pictures while capturing: the camera's own rate stays. Raises SourceError."""
        self.set_controls(wanted)
        self.fps = min(fps, self._most_fps)
        self._limit = RateLimit(fps=self.fps)

    def close(self) -> None:
        """End the reader, for tests: a worker just ends."""
        self._latest.close()

    def _fitting(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return the picture in the encoder's format, with limited range, turned as configured."""
        fitting = frame.reformat(width=self.width, height=self.height, format=self.pixel_format)
        horizontally, vertically = self._flips
        return flipped(fitting, horizontally=horizontally, vertically=vertically) if any(self._flips) else fitting

    def _colour(self) -> Colour:
        try:
            with ioctls.opened(self.node.path) as descriptor:
                return colour_of(ioctls.current_format(descriptor), compressed=self.mode.fourcc in ("MJPG", "JPEG"))
        except OSError as error:
            raise demuxer.failure(error, self.node, "") from error


def colour_of(pix: PixelFormat, *, compressed: bool) -> Colour:
    """Return the colour of the pictures after their conversion. Pure."""
    colour = {_SMPTE170M: BT601, _REC709: BT709}.get(int(pix.colorspace), _SRGB)
    if compressed or int(pix.quantization) != _FULL_RANGE:
        return colour
    return Colour(primaries=colour.primaries, transfer=colour.transfer, matrix=colour.matrix, range=2)


def _decoder(context: Any) -> Any:
    """Return a decoder for the consumer's thread; the stream's own belongs to the reader."""
    decoder: Any = av.CodecContext.create(context.name, "r")
    decoder.width, decoder.height = context.width, context.height
    if context.name == "rawvideo":
        decoder.pix_fmt = context.pix_fmt
        decoder.codec_tag = context.codec_tag
    decoder.thread_count = 1  # frame threads would delay each picture
    return decoder


def _unlisted(descriptor: int, job: CameraJob) -> list[modes.Sizes]:
    """Return the configured size in each format, for a driver that lists formats alone."""
    return [
        modes.Sizes(
            fourcc=code.to_bytes(4, "little").decode(errors="replace"), width=job.width & ~1, height=job.height & ~1
        )
        for code in ioctls.formats(descriptor)
    ]
