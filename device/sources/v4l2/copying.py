"""Whether a camera's own H.264 is passed through. Pure.

Without its bitrate and its key frames under control a viewer would wait for the camera's next key frame, and a slow
link would lose pictures all the time: then "auto" uses the camera's other formats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from device.errors import SourceError
from device.sources.v4l2 import controls, modes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device.sources.v4l2.controls import Control
    from device.sources.v4l2.modes import Mode, Sizes

NOT_COPYABLE = "the camera's H.264 cannot be passed through"  # for viewers
# Under "auto" a camera has to serve slow links too: there is neither a smaller size nor a lower rate of its pictures.
_LOW_ENOUGH_BPS = 300_000


class Wanted(Protocol):
    """What is configured: of a job, or of the configuration itself."""

    @property
    def encoder(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def fps(self) -> int: ...
    @property
    def hflip(self) -> bool: ...
    @property
    def vflip(self) -> bool: ...
    @property
    def rotate(self) -> int: ...


class NotCopyableError(SourceError):
    """The camera's own H.264 cannot be used; its other formats may."""


class NoH264Error(NotCopyableError):
    """The camera has no H.264 of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderControls:
    """The controls of a camera's encoder; None for one that it lacks."""

    bitrate: Control | None
    key_frame: Control | None

    def lacks(self) -> str:
        """Return why the camera cannot follow the room; empty if it can."""
        if self.bitrate is None or self.key_frame is None:
            return "its bitrate and its key frames cannot be controlled"
        if self.bitrate.least > _LOW_ENOUGH_BPS:
            return f"its bitrate is {self.bitrate.least} bit/s at least"
        return ""


def encoder_controls(offered: Sequence[Control]) -> EncoderControls:
    """Return the controls with which a room's feedback is carried out."""
    return EncoderControls(
        bitrate=controls.with_id(offered, controls.BITRATE),
        key_frame=controls.with_id(offered, controls.FORCE_KEY_FRAME),
    )


def copied_mode(found: Sequence[Sizes], offered: Sequence[Control], job: Wanted) -> Mode:
    """Return the H.264 mode that is passed through. Raises NotCopyableError, under "auto" also if it is unwise."""
    if job.encoder not in ("auto", "copy"):
        raise NotCopyableError("another encoder is configured", for_viewers=NOT_COPYABLE)
    if all(each.fourcc != modes.H264 for each in found):
        raise NoH264Error("the camera offers no H.264", for_viewers=NOT_COPYABLE)
    wanted = {"width": job.width, "height": job.height, "fps": job.fps}
    mode = modes.choose(found, **wanted, formats=(modes.H264,))
    if job.encoder == "auto":
        if lacks := encoder_controls(offered).lacks():
            raise NotCopyableError(lacks, for_viewers=NOT_COPYABLE)
        if job.hflip or job.vflip or job.rotate:
            raise NotCopyableError("its pictures are turned here", for_viewers=NOT_COPYABLE)
        if lacks := modes.difference(mode, **wanted):
            raise NotCopyableError(f"as H.264 {lacks}", for_viewers=NOT_COPYABLE)
    return mode
