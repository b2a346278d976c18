"""Rules between the keys of one camera or microphone. They raise ValueError, whose texts say what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from device.config.schema import Camera, Microphone

# Copies of constants in modules that are not imported here, to keep loading fast. Tests check that they are equal.
LONGEST_PAUSE_S = 0.65  # device.encoders.bitrate_budget
SLOWEST_FPS = 10  # device.tracks.ladder
_STILL_S = 1.5  # device.sources.video_clip repeats a still each second


def check_camera(camera: Camera) -> None:
    """Raise ValueError for keys that contradict each other."""
    if camera.source == "file" and not camera.path:
        raise ValueError('path is empty; source = "file" needs the path of a video file')
    if camera.bitrate_min_bps > camera.bitrate_max_bps:
        raise ValueError(
            f"bitrate_min_bps ({camera.bitrate_min_bps}) is above bitrate_max_bps ({camera.bitrate_max_bps}); "
            "allowed is at most that"
        )
    _check_url(camera)
    if camera.encoder == "v4l2" and camera.source in ("v4l2", "stream", "pattern", "file"):
        raise ValueError(
            f'encoder = "v4l2" encodes the Pi\'s camera only; with source = "{camera.source}" use x264 or auto'
        )
    if camera.night.enabled and camera.source not in ("auto", "picamera2", "v4l2"):
        raise ValueError(f'night is enabled; with source = "{camera.source}" there is nothing to change')
    if camera.night.enabled and camera.encoder == "copy":
        raise ValueError('night is enabled; with encoder = "copy" the brightness is not known')
    if camera.night.fps > camera.fps:
        raise ValueError(f"night.fps ({camera.night.fps}) is above fps ({camera.fps}); allowed is at most that")
    if camera.encoder == "copy" and camera.source not in ("file", "stream", "v4l2"):
        raise ValueError(
            'encoder = "copy" passes the H.264 of a file, a stream or a V4L2 camera through; '
            f'with source = "{camera.source}" it is not allowed'
        )
    if camera.rotate and camera.encoder == "copy":
        raise ValueError(
            f'rotate = {camera.rotate} and encoder = "copy" exclude each other: what is passed through cannot be '
            'turned; use encoder = "auto"'
        )
    if camera.rotate in (90, 270) and camera.encoder == "v4l2":
        raise ValueError(
            f'rotate = {camera.rotate} and encoder = "v4l2" exclude each other: the board\'s encoder turns no '
            'pictures; use encoder = "auto" or "x264", or rotate = 0 or 180, which the sensor does'
        )


def check_microphone(microphone: Microphone) -> None:
    """Raise ValueError for keys that contradict each other."""
    if microphone.source == "file" and not microphone.path:
        raise ValueError('path is empty; source = "file" needs the path of a file with sound')
    _check_url(microphone)


def _check_url(table: Camera | Microphone) -> None:
    """Raise ValueError for a stream's URL that is given twice, or with another source."""
    given = [key for key, value in (("url", table.url.get_secret_value()), ("url_file", table.url_file)) if value]
    if len(given) > 1:
        raise ValueError("url and url_file are both set; allowed is exactly one of them")
    if given and table.source not in ("stream", "off"):
        raise ValueError(f'{given[0]} is set, but source = "{table.source}" does not use it; set source = "stream"')


class Pace(Protocol):
    """What of a camera decides how long it may pause."""

    @property
    def source(self) -> str: ...
    @property
    def fps(self) -> int: ...
    @property
    def encoder(self) -> str: ...


def least_camera_stall_s(camera: Pace) -> float:
    """Return the minimum time without a picture, in seconds, after which the camera's worker may be restarted.

    It is at least three frame periods of the source, and at least the longest pause of the bitrate budget plus two
    periods of the ladder's lowest frame rate. A file may repeat a still picture, which is sent once a second.
    """
    least_s = 3 / camera.fps
    if camera.encoder != "copy":
        least_s = max(least_s, LONGEST_PAUSE_S + 2 / min(camera.fps, SLOWEST_FPS))
    if camera.source == "file":
        least_s = max(least_s, _STILL_S)
    return round(least_s, 2)
