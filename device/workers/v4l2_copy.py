"""Passes the H.264 of a V4L2 camera through, as long as the camera can carry out what the room asks for."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from device.errors import SourceError
from device.ipc.messages import Capturing, ForceKeyFrame, SetBitrate, SetControls, SetKeyFramesOnly
from device.sources.v4l2.copying import NOT_COPYABLE, NoH264Error, NotCopyableError
from device.sources.v4l2.encoded import V4l2Units
from device.workers.live_copy import LiveCopy

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
        Capturing(source=source.name, encoder="copy", width=source.width, height=source.height, fps=source.fps)
    )
    requests = _Requests(link, source)
    for unit in chain((first,), units):
        requests.carry_out()
        if (sent := requests.copy.take(unit)) is not None:
            link.unit(sent)


class _Requests:
    """Carries out the daemon's requests by the camera's controls; logs once what the camera cannot do."""

    def __init__(self, link: WorkerLink, source: V4l2Units) -> None:
        self._link, self._source = link, source
        self._ignored = False
        self.copy = LiveCopy()

    def carry_out(self) -> None:
        for request in self._link.requests():
            done, error = True, ""
            match request.message:
                case SetControls(controls=controls):
                    error = self._set_controls(controls)
                case ForceKeyFrame():
                    done = self._source.force_key_frame()
                case SetKeyFramesOnly(enabled=enabled):
                    self.copy.hold = enabled
                    self._source.force_key_frame()
                case SetBitrate(bitrate_bps=bitrate_bps) if bitrate_bps > 0:
                    done = self._source.set_bitrate(bitrate_bps)
                case _:
                    done = False
            self._link.reply(request, error)
            if not done and not self._ignored:
                self._ignored = True
                why = self._source.difference or "the size and rate of H.264 that is passed through cannot be changed"
                self._link.log("info", "camera.requests_ignored", why=why)

    def _set_controls(self, wanted: Mapping[str, Any]) -> str:
        """Set the camera's controls; return what is wrong with them."""
        try:
            self._source.set_controls(wanted)
        except SourceError as error:
            return str(error)
        return ""
