"""H.264 in software, with libx264 through PyAV."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.video.frame import PictureType
from av.video.reformatter import Interpolation, VideoReformatter

from device.encoders.x264_presets import FASTEST
from device.errors import EncoderError
from device.media.picture import AccessUnit, Picture, Sink

if TYPE_CHECKING:
    import threading

    from av.video.codeccontext import VideoCodecContext

    from device.media.colour import Colour

# The size of x264's VBV buffer, which limits bursts, at the bitrate with which the encoder was opened. Receivers delay
# every picture by the time that the largest one needs (libwebrtc: JitterEstimator). Measured on a film of 2.4 Mbit/s:
# with 15 pictures, which is half a second, the largest unit has 79 kB and a viewer's delay is 36 ms; with 3 pictures,
# 30 kB and 29 ms.
_BUFFER_PICTURES, _BUFFER_MAX_S = 3, 0.5
# With such a small buffer x264 uses 0.91 to 0.94 of its bitrate. Set higher by this factor, it uses 0.95 to 0.97.
_BITRATE_FACTOR = 1.06
# The VBV size cannot change within a stream. If the bitrate differs by more than this factor, the next key frame starts
# a new encoder, which takes 3 ms.
_VBV_TOLERANCE = 1.25
_APART_US = 1_000  # repetitions of a picture; no two units may have the same time
_OPTIONS = {
    "tune": "zerolatency",
    "profile": "baseline",  # with these presets also constrained baseline, which every viewer decodes
    "forced-idr": "1",  # a requested key frame must be an IDR, so that a new viewer can decode from it
    "sc_threshold": "0",  # no key frames at scene cuts: they cause bursts
}


class X264Encoder:
    """One frame in, one access unit out, in the caller's thread. Pictures are scaled to the encoder's size."""

    name = "x264"

    def __init__(
        self,
        *,
        width: int,
        height: int,
        pixel_format: str,
        fps: float,
        bitrate_bps: int,
        bitrate_max_bps: int,
        keyframe_interval_s: int,
        colour: Colour,
        sink: Sink,
        preset: str = FASTEST,
    ) -> None:
        self.preset = preset
        self._rate = Fraction(fps).limit_denominator(1001)
        self._time_base = 1 / self._rate
        self._size, self._pixel_format, self._colour = (width, height), pixel_format, colour
        self._keyframe_interval = round(keyframe_interval_s * self._rate)
        self._bitrate_max_bps = bitrate_max_bps
        self._opened_bps = self._bitrate_bps = min(bitrate_bps, bitrate_max_bps)
        self._frames = self._repetitions = 0
        self._context = self._open()
        self._scaler = VideoReformatter()
        self._sink = sink
        self.busy = 0

    def encode(self, picture: Picture, *, key: bool) -> None:
        far = not 1 / _VBV_TOLERANCE <= self._bitrate_bps / self._opened_bps <= _VBV_TOLERANCE
        if (key and far) or self.preset != self._opened_preset:
            self._context = self._open()
        with picture.mapped() as source:
            frame = self._scaled(source)
            frame.pts = self._frames
            frame.time_base = self._time_base
            # A decoded frame has the type that it had in its file; x264 would take that as a request.
            frame.pict_type = PictureType.I if key else PictureType.NONE
            encoded = self._encoded(frame)
            for _ in range(self._repetitions):
                frame.pts, frame.pict_type = self._frames, PictureType.NONE
                encoded += self._encoded(frame)
        for repetition, (payload, is_key) in enumerate(encoded):
            self._sink(
                AccessUnit(
                    payload=payload,
                    key=is_key,
                    width=self._context.width,
                    height=self._context.height,
                    number=picture.number,
                    captured_at_us=picture.captured_at_us + repetition * _APART_US,
                )
            )

    def _encoded(self, frame: av.VideoFrame) -> list[tuple[bytes, bool]]:
        """Return one access unit, and whether it is a key frame."""
        self._frames += 1
        try:
            return [(bytes(each), each.is_keyframe) for each in self._context.encode(frame)]
        except av.error.FFmpegError as error:
            raise EncoderError(f"x264 failed: {error.strerror}") from error

    def _scaled(self, frame: av.VideoFrame) -> av.VideoFrame:
        width, height = self._size
        if (frame.width, frame.height) == (width, height):
            return frame
        # Without bilinear scaling, aliasing makes a picture at a quarter of the size two thirds larger (measured).
        return self._scaler.reformat(frame, width=width, height=height, interpolation=Interpolation.BILINEAR)

    def set_bitrate(self, bitrate_bps: int) -> None:
        self._bitrate_bps = min(bitrate_bps, self._bitrate_max_bps)
        self._context.bit_rate = self._x264_bitrate()

    def repeat(self, times: int) -> None:
        """Encode each picture so many times more. A repetition takes few bits, and a packet of its own."""
        self._repetitions = times
        self._context.bit_rate = self._x264_bitrate()

    def set_preset(self, preset: str) -> None:
        """Encode with another preset from the next picture on, which becomes a key frame."""
        self.preset = preset

    def owns(self, thread: threading.Thread) -> bool:  # noqa: ARG002 - part of the interface
        """Return False: libx264 runs in the caller's thread."""
        return False

    def close(self) -> None:
        """Do nothing: the memory is freed with the object."""

    def _open(self) -> VideoCodecContext:
        width, height = self._size
        try:
            context: VideoCodecContext = av.CodecContext.create("libx264", "w")
            context.width, context.height, context.pix_fmt = width, height, self._pixel_format
            context.time_base = self._time_base
            context.framerate = self._rate
            context.gop_size = self._keyframe_interval
            context.thread_count = 1
            context.color_range = self._colour.range
            context.colorspace = self._colour.matrix
            context.color_primaries = self._colour.primaries
            context.color_trc = self._colour.transfer
            # A later bit_rate takes effect only if the VBV is set by these two options, and maxrate limits it.
            context.options = _OPTIONS | {
                "preset": self.preset,
                "maxrate": str(_with_factor(self._bitrate_max_bps)),
                "bufsize": str(int(self._bitrate_bps * min(_BUFFER_PICTURES / float(self._rate), _BUFFER_MAX_S))),
            }
            # x264 follows a later bit_rate only in a stream that was opened with a constant bitrate.
            context.bit_rate = _with_factor(self._bitrate_max_bps)
            context.open()
            context.bit_rate = self._x264_bitrate()
        except (av.error.FFmpegError, ValueError) as error:
            raise EncoderError(f"x264 does not accept {width}x{height} at {float(self._rate):g} fps") from error
        self._opened_bps, self._opened_preset = self._bitrate_bps, self.preset
        return context

    def _x264_bitrate(self) -> int:
        """Return the bitrate at x264's idea of the frame rate, which has no repetitions."""
        return _with_factor(self._bitrate_bps) // (1 + self._repetitions)


def _with_factor(bitrate_bps: int) -> int:
    return int(bitrate_bps * _BITRATE_FACTOR)
