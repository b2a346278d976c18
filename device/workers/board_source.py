"""Whether the board's encoder takes a source's pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device.encoders.v4l2 import board_encoder
from device.errors import EncoderError
from device.sources.picamera2 import Picamera2Source

if TYPE_CHECKING:
    from device.workers.encoding import Source


def is_turned(source: Source) -> bool:
    """Return whether its pictures are turned after the capture, so that they are no buffers of the camera."""
    return getattr(source, "turned", False)


def board_source(source: Source, *, needed: bool) -> Picamera2Source | None:
    """Return the source if the board's encoder takes its pictures; None if the board has no encoder.

    Raises EncoderError if the encoder cannot be opened, does not take the pictures, or is `needed` and missing.
    """
    if not board_encoder():
        if not needed:
            return None
        why = "this board has no H.264 encoder"
        raise EncoderError(f"{why}; use camera.encoder = x264 or auto", for_viewers=why)
    if is_turned(source):
        raise EncoderError(
            "neither this sensor nor the board's encoder turns pictures; use camera.encoder = x264 or auto",
            for_viewers="the picture cannot be turned",
        )
    if not isinstance(source, Picamera2Source):
        raise EncoderError(f"the board's encoder does not take pictures of source {source.name!r}")
    return source
