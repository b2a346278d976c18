"""Padded camera buffers as FFmpeg frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import av
import numpy as np

from device.errors import SourceError

if TYPE_CHECKING:
    import numpy.typing as npt


class Layout(Protocol):
    """Sizes in pixels; the stride, in bytes, is that of the luma plane. Chroma planes of yuv420p have half of it."""

    @property
    def pixel_format(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def stride(self) -> int: ...


def packed(buffer: npt.NDArray[np.uint8], layout: Layout) -> av.VideoFrame:
    """Return a frame of a buffer with rows of `stride` bytes: luma, then chroma, as V4L2 lays them out.

    Raises SourceError for a buffer that is too short: native code would read beyond its end.
    """
    width, height, stride = layout.width, layout.height, layout.stride
    needed = stride * height * 3 // 2
    if stride < width or buffer.size < needed:
        raise SourceError(f"a picture of {width}x{height} needs {needed} bytes, the camera gave {buffer.size}")
    flat = buffer.reshape(-1)[:needed]
    luma = flat[: stride * height].reshape(height, stride)[:, :width]
    chroma = flat[stride * height :]
    if layout.pixel_format == "nv12":
        colours = [chroma.reshape(height // 2, stride)[:, :width]]
    else:
        colours = [plane.reshape(height // 2, stride // 2)[:, : width // 2] for plane in np.split(chroma, 2)]
    tight = np.concatenate([np.ascontiguousarray(plane).reshape(-1) for plane in (luma, *colours)])
    return av.VideoFrame.from_numpy_buffer(tight.reshape(height * 3 // 2, width), format=layout.pixel_format)
