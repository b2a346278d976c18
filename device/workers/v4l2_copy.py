"""Passes the H.264 of a V4L2 camera through; key frames come from the camera if it can be asked for them."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from device.errors import SourceError
from device.ipc.messages import Capturing
from device.sources.v4l2.copying import NOT_COPYABLE, NoH264Error, NotCopyableError
from device.sources.v4l2.encoded import V4l2Units
from device.workers.bridged_copy import BridgedCopy
from device.workers.passing import pass_through as pass_units

if TYPE_CHECKING:
    from collections.abc import Mapping

    from device.ipc.messages import CameraJob
    from device.ipc.worker_link import WorkerLink


def pass_through(link: WorkerLink, job: CameraJob) -> None:
    """Pass units through until the camera fails, which raises SourceError.

    Returns under "auto" if the camera's pictures have to be encoded here. With "copy" that is an error.
    """
    try:
        _pass_through(link, job)
    except NotCopyableError as error:
        if job.encoder == "copy":
            raise SourceError(
                f'encoder = "copy" is not possible: {error}; use encoder = "auto"', for_viewers=error.for_viewers
            ) from None
        link.log("debug" if isinstance(error, NoH264Error) else "info", "camera.not_passed_through", why=str(error))


def _pass_through(link: WorkerLink, job: CameraJob) -> None:
    source = V4l2Units(job)
    units, why = source.units(), ""
    try:
        first = next(units)
    except NotCopyableError as error:
        why = str(error)
    if why:  # here, where no traceback holds a packet: its memory is the driver's, until the camera is closed
        source.close()
        raise NotCopyableError(why, for_viewers=NOT_COPYABLE)
    link.capturing(
        Capturing(
            source=source.name,
            encoder="copy",
            width=source.width,
            height=source.height,
            fps=source.fps,
            controls=source.offered,
        )
    )
    copy = BridgedCopy(
        job, fps=source.fps, sink=link.unit, ask_key=source.force_key_frame, set_bitrate=source.set_bitrate
    )

    def set_controls(wanted: Mapping[str, Any]) -> str:
        try:
            source.set_controls(wanted)
        except SourceError as error:
            return str(error)
        return ""

    pass_units(link, copy, chain((first,), units), set_controls=set_controls)
