"""A picture as JPEG, by FFmpeg: in full range with the matrix of BT.601, as JFIF has it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import av
from av.video.reformatter import ColorRange, Colorspace

from device.errors import EncoderError

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

    from device.media.colour import Colour

_PIXEL_FORMAT = "yuvj420p"
_MATRIX_709, _FULL_RANGE = 1, 2  # ITU-T H.273; FFmpeg
_COARSEST = 31
# FFmpeg's quantisers at this scale are about those of libjpeg at quality 50.
_SCALE_AT_50 = 13
_MIDDLE = 50


class Jpeg(NamedTuple):
    """The bytes of a file, and its size in pixels."""

    data: bytes
    width: int
    height: int


def jpeg(frame: av.VideoFrame, *, max_width: int, quality: int, colour: Colour, max_bytes: int) -> Jpeg:
    """Return a picture at its own size, or no wider than `max_width` if that is not 0. `quality` is 1 to 100.

    Raises EncoderError, also if it has more than `max_bytes`.
    """
    width, height = fitted(frame.width, frame.height, max_width)
    context: VideoCodecContext = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt = width, height, _PIXEL_FORMAT
    context.time_base = Fraction(1, 1)
    scale = str(quantiser_scale(quality))
    context.options = {"qmin": scale, "qmax": scale}
    try:
        converted = frame.reformat(
            width=width,
            height=height,
            format=_PIXEL_FORMAT,
            src_colorspace=Colorspace.ITU709 if colour.matrix == _MATRIX_709 else Colorspace.ITU601,
            dst_colorspace=Colorspace.ITU601,
            src_color_range=ColorRange.JPEG if colour.range == _FULL_RANGE else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
        )
        packets = [*context.encode(converted), *context.encode(None)]
    except av.error.FFmpegError as error:
        raise EncoderError(f"the picture cannot be made a JPEG: {error.strerror}") from error
    data = b"".join(map(bytes, packets))
    if len(data) > max_bytes:
        raise EncoderError(f"the JPEG has {len(data)} bytes, more than {max_bytes}; ask for less quality or max_width")
    return Jpeg(data, width, height)


def fitted(width: int, height: int, max_width: int) -> tuple[int, int]:
    """Return the size of a picture that is no wider than `max_width`, with even numbers of pixels."""
    if not 0 < max_width < width:
        return width, height
    return max(2, max_width & ~1), max(2, round(height * max_width / width / 2) * 2)


def quantiser_scale(quality: int) -> int:
    """Return FFmpeg's scale for a quality as libjpeg has it."""
    percent = 5000 / quality if quality < _MIDDLE else 200 - 2 * quality
    return min(_COARSEST, max(1, round(_SCALE_AT_50 * percent / 100)))
