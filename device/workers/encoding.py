"""The camera worker's encoder: chooses it, replaces it if it fails, and carries out the daemon's requests."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol, cast

from device.clock import monotonic_us
from device.encoders.bitrate_budget import BitrateBudget
from device.encoders.x264_presets import AUTO
from device.errors import EncoderError
from device.ipc.messages import Capturing, ForceKeyFrame, SetBitrate, SetKeyFramesOnly, SetPaused, SetPictureLimits
from device.sources.pacing import RateLimit

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from device.encoders.encoder import Encoder
    from device.encoders.v4l2 import V4l2Encoder
    from device.encoders.x264 import X264Encoder
    from device.ipc.messages import CameraJob
    from device.ipc.worker_link import WorkerLink
    from device.media.colour import Colour
    from device.media.picture import AccessUnit, Picture
    from device.workers.automatic_preset import AutomaticPreset

# Used until the first bandwidth estimate arrives; only key frames are sent until then.
_FIRST_BITRATE_BPS = 500_000
_MOST_REPETITIONS = 4


class Source(Protocol):
    """A source of pictures; see `device.sources`."""

    name: str
    pixel_format: str
    width: int
    height: int
    fps: int
    colour: Colour

    @property
    def missed(self) -> int:
        """Return the number of pictures that were too late to be sent."""
        ...

    def pictures(self) -> Iterator[Picture]: ...


class Encoding:
    """The encoder in use, and its settings from the daemon's requests."""

    def __init__(self, link: WorkerLink, job: CameraJob, source: Source) -> None:
        self._link, self._job, self._source = link, job, source
        # Until the first feedback every unit is a key frame: the SDK loses the first units after a publication.
        self._all_keys, self._next_key = True, True
        self._bitrate_bps = min(_FIRST_BITRATE_BPS, job.bitrate_max_bps)
        self._width, self._height, self._fps = source.width, source.height, float(source.fps)
        self._limit: RateLimit | None = None
        self._limits = (source.width, source.height, source.fps)
        self._budget, self._repetitions = BitrateBudget(), 0
        # Dropped pictures: above the requested frame rate, and above the bitrate budget.
        self.rate_limited = self.over_budget = 0
        self._board: V4l2Encoder | None = None  # the hardware encoder, also after software has replaced it
        self._size_kept_logged = False
        self._automatic = self._automatic_preset()
        link.thread_owner = self._owns
        self._encoder = self._open()

    def encode(self, picture: Picture) -> None:
        """Encode one picture, unless it exceeds the requested frame rate or the bitrate budget.

        With "auto", software replaces a hardware encoder that fails.
        """
        admitted = self._limit is None or self._limit.admits(picture.captured_at_us)
        affordable = self._budget.allows(picture.captured_at_us) or self._all_keys
        if not (admitted and affordable) and not self._next_key:  # a requested key frame is always encoded
            self.over_budget += admitted
            self.rate_limited += not admitted
            return
        key = self._all_keys or self._next_key
        self._next_key = False
        try:
            self._encode(picture, key=key)
        except EncoderError as error:
            self._fall_back(error)
            self._encoder.encode(picture, key=True)

    def no_picture_comes(self) -> None:
        """Replace the board's encoder if it has stalled: it may have so many buffers that the camera has none left."""
        try:
            if self._board is not None and self._encoder is self._board:
                self._board.check_stall(monotonic_us())
        except EncoderError as error:
            self._fall_back(error)

    def _encode(self, picture: Picture, *, key: bool) -> None:
        # Key frames alone, as at the start, take longer: they say nothing about the preset.
        if self._automatic is None or self._all_keys or self._encoder.name != "x264":
            self._encoder.encode(picture, key=key)
            return
        encoder = cast("X264Encoder", self._encoder)
        self._automatic.encode(encoder, picture, key=key, fps=self._fps, missed=self._source.missed)

    def _automatic_preset(self) -> AutomaticPreset | None:
        if self._job.x264_preset != AUTO:
            return None
        from device.workers.automatic_preset import AutomaticPreset

        return AutomaticPreset(self._link)

    @property
    def busy(self) -> int:
        """The number of pictures that were dropped because the encoder was busy."""
        return self._encoder.busy

    def _owns(self, thread: threading.Thread) -> bool:
        """Return whether a failed thread is the hardware encoder's, which software replaces or has replaced already."""
        return self._job.encoder == "auto" and self._board is not None and self._board.owns(thread)

    def _fall_back(self, error: EncoderError) -> None:
        """Replace the hardware encoder by software. Raises the error if there is nothing to fall back to."""
        if self._encoder.name == "x264" or self._job.encoder != "auto":
            raise error
        self._link.log("warning", "camera.encoder_replaced", why=str(error), by="x264")
        self._encoder.close()  # first: no unit of it may follow the report
        self._report_capturing("x264")  # before libx264 is loaded, which takes a small board seconds
        self._encoder = self._software()

    def carry_out(self, request: object) -> str:
        """Carry out one request; return what is wrong with it, or an empty text."""
        match request:
            case ForceKeyFrame() | SetPaused():  # a pause ends with a key frame
                self._next_key = True
            case SetKeyFramesOnly(enabled=enabled):
                self._all_keys = enabled
            case SetBitrate(bitrate_bps=bitrate_bps, repetitions=times) if (
                bitrate_bps > 0 and 0 <= times <= _MOST_REPETITIONS
            ):
                self._bitrate_bps, self._repetitions = bitrate_bps, times
                self._encoder.repeat(times)
                try:
                    self._encoder.set_bitrate(bitrate_bps)
                except EncoderError as error:
                    self._fall_back(error)
            case SetPictureLimits(width=width, height=height, fps=fps) if min(width, height, fps) > 0:
                self._set_limits(width, height, fps)
            case _:
                return "a camera does not support this request or its value"
        return ""

    def _set_limits(self, width: int, height: int, fps: int) -> None:
        """Limit size and frame rate, by scaling down and by dropping pictures.

        The hardware encoder cannot scale the camera's buffers: with it only the frame rate is limited.
        """
        source, self._limits = self._source, (width, height, fps)
        divisor = math.ceil(source.fps / fps)
        scale = min(1.0, width / source.width, height / source.height)
        self._fps = source.fps / divisor
        self._limit = RateLimit(fps=self._fps) if divisor > 1 else None
        self._width, self._height = max(2, int(source.width * scale) & ~1), max(2, int(source.height * scale) & ~1)
        if self._encoder.name == "x264":
            self._encoder = self._software()  # it starts with a key frame and parameter sets
        elif scale < 1 and not self._size_kept_logged:
            self._size_kept_logged = True
            self._link.log("info", "camera.size_kept", why="the board's encoder cannot scale pictures")

    def follow_source(self, fps: int) -> None:
        """Encode at another frame rate, which the source has now."""
        self._source.fps = fps
        self._set_limits(*self._limits)
        if self._encoder.name != "x264":
            self._report_capturing(self._encoder.name)

    def _open(self) -> Encoder:
        if self._job.encoder == "x264" or (self._job.encoder == "auto" and self._job.source != "picamera2"):
            return self._software()
        from device.workers.board_source import is_turned

        if self._job.encoder == "auto" and is_turned(self._source):
            why = "the board's encoder cannot turn pictures (camera.rotate, or flips that the sensor does not do)"
            self._link.log("info", "camera.encoder_unusable", why=why, instead="x264")
            return self._software()
        try:
            return self._hardware()
        except EncoderError as error:
            if self._job.encoder != "auto":
                raise
            self._link.log("warning", "camera.encoder_unusable", why=str(error), instead="x264")
            return self._software()

    def _hardware(self) -> Encoder:
        from device.encoders.v4l2 import V4l2Encoder
        from device.workers.board_source import board_source

        source = board_source(self._source, needed=self._job.encoder != "auto")
        if source is None:
            return self._software()
        encoder = V4l2Encoder(
            layout=source.layout,
            fps=self._source.fps,
            bitrate_bps=self._bitrate_bps,
            keyframe_interval_s=self._job.keyframe_interval_s,
            sink=self._send,
        )
        self._board = encoder
        source.on_wait = self.no_picture_comes
        encoder.start()
        self._report_capturing(encoder.name)
        return encoder

    def _software(self) -> Encoder:
        from device.encoders.x264 import X264Encoder

        encoder = X264Encoder(
            width=self._width,
            height=self._height,
            pixel_format=self._source.pixel_format,
            fps=self._fps,
            bitrate_bps=self._bitrate_bps,
            bitrate_max_bps=self._job.bitrate_max_bps,
            keyframe_interval_s=self._job.keyframe_interval_s,
            colour=self._source.colour,
            sink=self._send,
            preset=self._automatic.preset if self._automatic else self._job.x264_preset,
        )
        encoder.repeat(self._repetitions)
        self._report_capturing(encoder.name)
        return encoder

    def _report_capturing(self, encoder: str) -> None:
        source = self._source
        self._link.capturing(
            Capturing(
                source=source.name,
                encoder=encoder,
                width=source.width,
                height=source.height,
                fps=source.fps,
                controls=getattr(source, "offered", {}),
            )
        )

    def _send(self, unit: AccessUnit) -> None:
        self._budget.add(len(unit.payload), bitrate_bps=self._bitrate_bps)
        self._link.unit(unit)
