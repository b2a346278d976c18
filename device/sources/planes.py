"""Copies padded camera buffers into FFmpeg frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import av
import numpy as np

from device.errors import SourceError

if TYPE_CHECKING:
    import numpy.typing as npt


# In each plane; nv12 has Cb and Cr side by side.
_BYTES_PER_PIXEL = {"yuv420p": (1, 1, 1), "nv12": (1, 2)}


class Layout(Protocol):
    """Sizes in pixels. The stride, in bytes, is that of the luma plane; chroma planes of yuv420p have half of it."""

    @property
    def pixel_format(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def stride(self) -> int: ...


def packed(buffer: npt.NDArray[np.uint8], layout: Layout) -> av.VideoFrame:
    """Return a frame from a buffer with rows of `stride` bytes: luma, then chroma, as in V4L2.

    Raises SourceError for a buffer that is too short: native code would read beyond its end.
    """
    width, height, stride = layout.width, layout.height, layout.stride
    needed = stride * height * 3 // 2
    if stride < width or buffer.size < needed:
        raise SourceError(
            f"a picture of {width}x{height} needs {needed} bytes, the camera gave {buffer.size}",
            for_viewers="the camera delivers incomplete pictures",
        )
    flat = buffer.reshape(-1)[:needed]
    luma, chroma = flat[: stride * height], flat[stride * height :]
    if layout.pixel_format == "nv12":
        planes = [luma.reshape(height, stride), chroma.reshape(height // 2, stride)]
    else:
        planes = [luma.reshape(height, stride), *(half.reshape(-1, stride // 2) for half in np.split(chroma, 2))]
    frame = av.VideoFrame(width, height, layout.pixel_format)
    for target, rows in zip(writable(frame), planes, strict=True):
        target[:] = rows[:, : target.shape[1]]
    return frame


def flipped(frame: av.VideoFrame, *, horizontally: bool, vertically: bool) -> av.VideoFrame:
    """Return a mirrored copy of a yuv420p frame."""
    turned = av.VideoFrame(frame.width, frame.height, frame.format.name)
    rows, columns = slice(None, None, -1 if vertically else None), slice(None, None, -1 if horizontally else None)
    for target, source in zip(writable(turned), writable(frame), strict=True):
        target[:] = source[rows, columns]
    return turned


def writable(frame: av.VideoFrame) -> list[npt.NDArray[np.uint8]]:
    """Return a view of each plane of an 8-bit frame, of shape (lines, bytes a line), without the padding."""
    views = []
    for plane, pixel_bytes in zip(frame.planes, _BYTES_PER_PIXEL[frame.format.name], strict=True):
        rows: npt.NDArray[np.uint8] = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)  # type: ignore[call-overload]
        views.append(rows[:, : pixel_bytes * plane.width])
    return views
