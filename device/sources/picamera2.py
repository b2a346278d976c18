"""The Raspberry Pi's camera, through picamera2 and libcamera."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from device.clock import monotonic_of_boottime_us, monotonic_us
from device.errors import SourceAbsentError, SourceError, system_text
from device.media.colour import of_libcamera
from device.sources.controls import NIGHT, changed_controls, checked_controls, frame_duration, ranges, unsupported
from device.sources.orientation import flips_left, sensor_flips
from device.sources.pacing import RateLimit, missed_frames
from device.sources.planes import packed
from device.sources.v4l2.nodes import is_usb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import av

    from device.ipc.messages import CameraJob

FIRST_FRAME_S, _LOOK_S = 5.0, 0.25
_BUFFERS = 6  # one being filled, one queued, up to four in the hardware encoder
PIXEL_FORMATS = {"YUV420": "yuv420p", "NV12": "nv12"}
_INSTALL = "install picamera2: `apt install python3-picamera2` (Raspberry Pi OS), with a venv that sees system packages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How picamera2 lays out a picture: pixel format by FFmpeg's name, sizes in pixels, stride in bytes."""

    pixel_format: str
    width: int
    height: int
    stride: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraPicture:
    """A libcamera request, valid until it is released. The hardware encoder takes the request itself, x264 maps it."""

    request: Any
    layout: Layout
    number: int
    captured_at_us: int

    @contextmanager
    def mapped(self) -> Iterator[av.VideoFrame]:
        # A copy (0.1 ms at 720p): a view that is used after its context breaks picamera2's allocator.
        yield packed(self.request.make_buffer("main"), self.layout)


class Picamera2Source:
    """Pictures at the configured frame rate, at any sensor rate. Each request is released after its use."""

    name = "picamera2"

    def __init__(self, job: CameraJob) -> None:
        self.camera = _open(job.device)
        try:
            self.check_night(job.night_controls)  # now, not at nightfall
            self.layout = _configured(self.camera, job)
        except BaseException:
            self.camera.close()
            raise
        self.width, self.height, self.fps = self.layout.width, self.layout.height, job.fps
        self.pixel_format = self.layout.pixel_format
        # libcamera changes a transform that the sensor cannot do without an error.
        self.turn_left = flips_left(job, self.camera.camera_configuration().get("transform"))
        # Called while no picture comes; an encoder may have stalled with so many buffers that the camera has none left.
        self.on_wait: Callable[[], None] = lambda: None
        self.missed, self._limit, self.applied = 0, RateLimit(fps=self.fps), dict[str, Any]()
        self.offered = ranges(self.camera.camera_controls)
        self.lux: float | None = None
        self._set: Mapping[str, Any] = job.controls
        # Not from camera_configuration(): picamera2 replaces a matrix and range that it does not expect.
        self.colour = of_libcamera(self.camera.libcamera_config.at(0).color_space, height=self.height)

    def pictures(self) -> Iterator[CameraPicture]:
        """Yield pictures without end. Raises SourceError if there is none for 5 s."""
        try:
            self.camera.start()
        except (RuntimeError, OSError) as error:
            raise SourceError(
                f"the camera cannot be started ({cause(error)}); look at `dmesg`",
                for_viewers="the camera cannot be started",
            ) from error
        number, before_us = 0, 0
        while True:
            request = self._next_request()
            try:
                metadata = request.get_metadata()
                taken_at_us = captured_at_us(metadata)
                self.missed += missed_frames(taken_at_us - before_us, metadata) if before_us else 0
                before_us = taken_at_us
                self.lux = metadata.get("Lux")
                if self._limit.admits(taken_at_us):
                    yield CameraPicture(request=request, layout=self.layout, number=number, captured_at_us=taken_at_us)
                    number += 1
            finally:
                request.release()

    def _next_request(self) -> Any:
        job = self.camera.capture_request(wait=False)
        for _ in range(round(FIRST_FRAME_S / _LOOK_S)):
            try:
                return job.get_result(timeout=_LOOK_S)
            except TimeoutError:  # the same job goes on: it would keep the request that comes after its end
                self.on_wait()
        raise SourceError(
            f"the camera delivers no picture for {FIRST_FRAME_S:.0f} s; look at its ribbon cable, and at "
            "`dmesg` for kernel messages about it",
            for_viewers="the camera delivers no picture",
        )

    def set_controls(self, wanted: Mapping[str, Any]) -> None:
        """Set controls from the next pictures on. Raises SourceError, and sets none, if one does not fit the camera."""
        self._apply(checked_controls(wanted, self.camera.camera_controls))

    def check_night(self, controls: Mapping[str, Any]) -> None:
        checked_controls(controls, self.camera.camera_controls, table=NIGHT)

    def set_mode(self, wanted: Mapping[str, Any], *, fps: int) -> None:
        """Set controls, defaults in place of those before, and the frame rate. Raises SourceError as `set_controls`."""
        offered = self.camera.camera_controls
        self._apply(changed_controls(self._set, wanted, offered) | frame_duration(fps, offered))
        self._set, self.fps, self._limit = dict(wanted), fps, RateLimit(fps=fps)

    def _apply(self, controls: Mapping[str, Any]) -> None:
        self.applied |= controls
        self.camera.set_controls(controls)


def cameras() -> list[dict[str, Any]]:
    """Return libcamera's description of each camera: Num, Model, Id and more. Raises SourceError without picamera2."""
    return [dict(each) for each in library().global_camera_info()]


def choose(found: list[dict[str, Any]], wanted: str) -> int:
    """Return the number of the camera with this number, or with `wanted` in its model or id.

    Empty means the first, but a USB camera (`device.sources.v4l2`) only if there is no other.
    Raises SourceAbsentError, which lists the cameras.
    """
    if not found:
        raise SourceAbsentError(
            "libcamera finds no camera; look at its ribbon cable and at `rpicam-hello --list-cameras`",
            for_viewers="no camera is connected",
        )
    if not wanted:
        return next((position for position, each in enumerate(found) if not is_usb(str(each.get("Id", "")))), 0)
    if wanted.isdecimal():
        if int(wanted) < len(found):
            return int(wanted)
    else:
        # Exact matches first: one name may be part of another.
        for matches in (str.__eq__, str.__contains__):
            for position, each in enumerate(found):
                if any(matches(str(each.get(key, "")).lower(), wanted.lower()) for key in ("Model", "Id")):
                    return position
    names = ", ".join(f"{position}: {each.get('Model')} ({each.get('Id')})" for position, each in enumerate(found))
    raise SourceAbsentError(
        f"no camera's number, model or id is {wanted!r}; there are: {names}", for_viewers="this camera is not connected"
    )


def library() -> Any:
    """Return the class Picamera2. Raises SourceError if it cannot be imported."""
    try:
        from picamera2 import Picamera2
    except ImportError as error:
        missing = error.name or "picamera2"
        raise SourceError(
            f'camera.source = "picamera2" needs a library that is missing ({missing} cannot be imported); {_INSTALL}',
            for_viewers="a library for the camera is missing",
        ) from error
    return Picamera2


def _open(device: str) -> Any:
    number = choose(cameras(), device)
    try:
        return library()(number)
    except (RuntimeError, IndexError, OSError) as error:
        busy = "busy" in str(error.__cause__ or error).lower()
        why = "another program uses it (`fuser -v /dev/media*`)" if busy else cause(error)
        viewers = "the camera is in use by another program" if busy else "the camera cannot be opened"
        raise SourceError(f"camera {number} cannot be opened: {why}", for_viewers=viewers) from error


def _configured(camera: Any, job: CameraJob) -> Layout:
    from libcamera import ColorSpace, Transform

    hflip, vflip = sensor_flips(job)
    controls = checked_controls(job.controls, camera.camera_controls) | frame_duration(job.fps, camera.camera_controls)
    try:
        camera.configure(
            camera.create_video_configuration(
                main={"size": (job.width, job.height), "format": "YUV420"},
                transform=Transform(hflip=hflip, vflip=vflip),
                # At any size: the hardware encoder writes no colour description, and browsers then assume BT.601.
                colour_space=ColorSpace.Smpte170m(),
                controls=controls,
                buffer_count=_BUFFERS,
            )
        )
    except (RuntimeError, ValueError, TypeError, KeyError, OSError) as error:
        raise unsupported(
            f"the camera refuses {job.width}x{job.height} at {job.fps} fps, or camera.controls ({cause(error)})",
            "the camera's settings do",
        ) from error
    # libcamera changes unsupported settings without an error.
    layout = layout_of(camera)
    if (layout.width, layout.height) != (job.width, job.height):
        raise unsupported(
            f"the camera does not do {job.width}x{job.height}; the nearest is camera.width = {layout.width} "
            f"and camera.height = {layout.height}",
            "camera.width and height do",
        )
    return layout


def layout_of(camera: Any) -> Layout:
    """Return how the camera lays out its pictures now. Raises SourceError for a pixel format that is not supported."""
    main = camera.camera_configuration()["main"]
    if main["format"] not in PIXEL_FORMATS:
        raise SourceError(
            f"the camera's pixel format is {main['format']}; supported: {' and '.join(PIXEL_FORMATS)}; "
            'a USB camera needs source = "v4l2"',
            for_viewers="the camera's pixel format is not supported",
        )
    width, height = main["size"]
    return Layout(pixel_format=PIXEL_FORMATS[main["format"]], width=width, height=height, stride=main["stride"])


def cause(error: BaseException) -> str:
    """Return why picamera2 failed: its RuntimeError may hide an error of the system."""
    return system_text(error.__cause__ or error)


def captured_at_us(metadata: Mapping[str, Any]) -> int:
    """Return when the first line was exposed; without a SensorTimestamp, return the current time."""
    stamp = metadata.get("SensorTimestamp")
    return monotonic_us() if stamp is None else monotonic_of_boottime_us(int(stamp))
