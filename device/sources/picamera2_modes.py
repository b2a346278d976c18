"""What a camera of picamera2 offers, for `livekit-device devices`."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from device.sources.picamera2 import cause, library


def modes(number: int) -> str:
    """Return the sensor's modes as text; for a camera without raw modes, such as a USB camera, its sizes."""
    try:
        with closing(library()(number)) as camera:
            try:
                found = {(*mode["size"], f" at {mode['fps']:.0f} fps") for mode in camera.sensor_modes}
            except AttributeError:  # picamera2 assumes that every camera has raw modes
                found = {(*size, "") for size in _video_sizes(camera)}
    except (RuntimeError, IndexError, OSError, KeyError) as error:
        return f"unknown ({cause(error)})"
    return ", ".join(f"{width}x{height}{rate}" for width, height, rate in sorted(found))


def _video_sizes(camera: Any) -> list[tuple[int, int]]:
    from libcamera import StreamRole

    formats = camera.camera.generate_configuration([StreamRole.VideoRecording]).at(0).formats
    return [(size.width, size.height) for pixel_format in formats.pixel_formats for size in formats.sizes(pixel_format)]
