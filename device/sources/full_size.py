"""A picture of the sensor's full size: for it the Raspberry Pi's camera changes its mode, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device.errors import SourceError
from device.media.picture import FramePicture
from device.sources.picamera2 import FIRST_FRAME_S, captured_at_us, cause, layout_of
from device.sources.planes import packed

if TYPE_CHECKING:
    from device.sources.picamera2 import Picamera2Source

_RATE = "FrameDurationLimits"


def full_picture(source: Picamera2Source) -> FramePicture:
    """Return one, and let the source go on; its pictures from before are not valid any more. Raises SourceError.

    The stream has no pictures meanwhile: about as long as two starts of the camera.
    """
    camera, video = source.camera, source.camera.camera_config
    controls = video["controls"] | source.applied
    try:
        still = camera.create_still_configuration(
            main={"size": camera.sensor_resolution, "format": "YUV420"},
            transform=video["transform"],
            colour_space=video["colour_space"],
            buffer_count=1,
            controls={name: value for name, value in controls.items() if name != _RATE},  # the sensor's own
        )
        request = camera.switch_mode_capture_request_and_stop(still, wait=FIRST_FRAME_S)
        try:
            frame = packed(request.make_buffer("main"), layout_of(camera))
            taken_at_us = captured_at_us(request.get_metadata())
        finally:
            request.release()
        camera.configure(video | {"controls": controls})
        camera.start()
    except (TimeoutError, RuntimeError, ValueError, TypeError, KeyError, OSError) as error:
        raise SourceError(
            f"the camera takes no picture of its full size ({cause(error)}); look at `dmesg`",
            for_viewers="the camera delivers no picture",
        ) from error
    return FramePicture(frame=frame, number=0, captured_at_us=taken_at_us)
