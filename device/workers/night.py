"""Applies [camera.night]: other controls and another frame rate while it is dark."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from device.errors import SourceError
from device.sources.controls import with_night
from device.workers.night_policy import NightPolicy, Thresholds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from device.ipc.messages import CameraJob
    from device.ipc.worker_link import WorkerLink
    from device.media.picture import Picture
    from device.workers.encoding import Encoding

_INTERVAL_S = 1.0
_SAMPLED = 8  # each 8th pixel of each 8th line


class NightSource(Protocol):
    """A camera whose controls and frame rate change while it captures. `lux`: of its last picture, None: unknown."""

    lux: float | None
    fps: int

    def check_night(self, controls: Mapping[str, Any]) -> None:
        """Raise SourceError if one of the controls of the night does not fit this camera."""

    def set_mode(self, controls: Mapping[str, Any], *, fps: int) -> None:
        """Set these controls, their defaults for those that were set before, and the frame rate. Raises SourceError."""


class Night:
    """Follows the brightness, once a second, and changes the camera and the encoder."""

    def __init__(self, link: WorkerLink, job: CameraJob, source: NightSource, encoding: Encoding) -> None:
        self._link, self._job, self._source, self._encoding = link, job, source, encoding
        self._controls: Mapping[str, Any] = job.controls
        self._policy = NightPolicy(hold_s=job.night["hold_s"], min_s=job.night["min_s"])
        self._next_at = float("-inf")
        self._adopt(job.night)

    def check(self, picture: Picture, clock: Callable[[], float] = time.monotonic) -> None:
        """Look at a picture, at most once a second."""
        now = clock()
        if now < self._next_at:
            return
        self._next_at = now + _INTERVAL_S
        lux = self._source.lux
        brightness = mean_luma(picture) if lux is None else lux
        if self._policy.update(now, brightness, self._luma if lux is None else self._lux):
            self._apply(brightness, "mean luma" if lux is None else "lux")

    def set_controls(self, controls: Mapping[str, Any]) -> None:
        """Replace the controls of the day, which night adds to. Raises SourceError, and keeps them, if one is wrong."""
        self._set_mode(controls)
        self._controls = controls

    def follow(self, night: Mapping[str, Any]) -> None:
        """Follow another table. Raises SourceError, and keeps the present one, if one of its controls is wrong."""
        self._source.check_night(night["controls"])
        before = self._night
        self._adopt(night)
        if not self._policy.night:
            return
        try:
            self._set_mode(self._controls)
        except SourceError:
            self._adopt(before)
            raise
        self._encoding.follow_source(self._source.fps)
        self._report()

    def _adopt(self, night: Mapping[str, Any]) -> None:
        self._night = night
        self._lux = Thresholds(below=night["below_lux"], above=night["above_lux"])
        self._luma = Thresholds(below=night["below_luma"], above=night["above_luma"])
        self._policy.hold_s, self._policy.min_s = night["hold_s"], night["min_s"]

    def _report(self) -> None:
        self._link.mode(f"night, {self._source.fps} fps" if self._policy.night else "")

    def _set_mode(self, controls: Mapping[str, Any]) -> None:
        night, fps = self._night, self._job.fps
        if self._policy.night:
            controls, fps = with_night(controls, night["controls"]), night["fps"] or fps
        self._source.set_mode(controls, fps=fps)

    def _apply(self, brightness: float, unit: str) -> None:
        night = self._policy.night
        try:
            self._set_mode(self._controls)
        except SourceError as error:  # a picture with other settings is better than none
            self._link.log("warning", "camera.night_refused", night=night, why=str(error))
            self._link.mode("camera.night does not fit this camera")
            return
        fps = self._source.fps
        self._encoding.follow_source(fps)
        event = "camera.night" if night else "camera.day"
        self._link.log("info", event, brightness=round(brightness, 1), unit=unit, fps=fps)
        self._report()


def mean_luma(picture: Picture) -> float:
    """Return the mean of the picture's luma, 0 to 255, of some of its pixels."""
    import numpy as np

    with picture.mapped() as frame:
        plane = frame.planes[0]
        lines = np.frombuffer(bytes(plane), np.uint8).reshape(-1, plane.line_size)
        return float(lines[: frame.height : _SAMPLED, : frame.width : _SAMPLED].mean())
