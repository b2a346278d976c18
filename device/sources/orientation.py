"""Which part of the configured orientation the sensor does, and which part is left. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from device.sources.conversion import Turn, turn_of_degrees, turn_of_flips

if TYPE_CHECKING:
    from device.ipc.messages import CameraJob

_HALF = 180


class Flips(Protocol):
    """libcamera's Transform has these."""

    @property
    def hflip(self) -> bool: ...
    @property
    def vflip(self) -> bool: ...


def sensor_flips(job: CameraJob) -> tuple[bool, bool]:
    """Return whether the sensor flips horizontally and vertically; both together are a rotation by 180 degrees."""
    half = job.rotate == _HALF
    return job.hflip != half, job.vflip != half


def flips_left(job: CameraJob, done: Flips | None) -> Turn:
    """Return what a sensor that did these flips has not done; None means that it did as it was asked."""
    if done is None:
        return Turn.NONE
    hflip, vflip = sensor_flips(job)
    return turn_of_flips(horizontally=hflip != bool(done.hflip), vertically=vflip != bool(done.vflip))


def turns_left(job: CameraJob, source: object) -> list[Turn]:
    """Return how the source's pictures have to be turned after the capture, one turn after the other."""
    by_source = getattr(source, "turn_left", Turn.NONE)
    done = job.rotate == _HALF and job.source in ("picamera2", "v4l2")
    rest = Turn.NONE if done else turn_of_degrees(job.rotate)
    return [turn for turn in (by_source, rest) if turn is not Turn.NONE]
