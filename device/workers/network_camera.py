"""A network stream as camera: passed through if that is possible and wanted, else decoded and encoded."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from device.ipc.messages import Capturing
from device.sources.network_input import NetworkInput
from device.sources.network_units import NetworkUnits, NotCopyableError, why_not_copied
from device.workers.bridged_copy import BridgedCopy
from device.workers.passing import pass_through

if TYPE_CHECKING:
    from device.ipc.messages import CameraJob
    from device.ipc.worker_link import WorkerLink
    from device.sources.network_video import NetworkVideo

_HINT = 'use encoder = "auto" to have it encoded again'


def open_network_video(link: WorkerLink, job: CameraJob) -> NetworkVideo:
    """Pass the stream through until it ends, which raises SourceError; return it if it has to be encoded."""
    from device.sources.network_video import NetworkVideo

    source = _opened(job)
    if job.encoder in ("auto", "copy"):
        why = why_not_copied(source)
        if not why:
            try:
                _pass_through(link, job, source)
            except NotCopyableError as error:
                why = str(error)
            source.close()
            source = _opened(job)
        if job.encoder == "copy":
            raise NotCopyableError(
                f"{source.origin}: cannot be passed through: {why}; {_HINT}",
                for_viewers="the stream cannot be passed through",
            )
        link.log("info", "camera.not_passed_through", why=why)
    return NetworkVideo(source, width=job.width, height=job.height, fps=job.fps)


def _opened(job: CameraJob) -> NetworkInput:
    return NetworkInput(url=job.url, url_file=job.url_file, kind="video", transport=job.rtsp_transport)


def _pass_through(link: WorkerLink, job: CameraJob, source: NetworkInput) -> None:
    units = NetworkUnits(source).units()
    first = next(units)
    fps = round(source.rate or job.fps)
    link.capturing(Capturing(source="stream", encoder="copy", width=first.width, height=first.height, fps=fps))
    pass_through(link, BridgedCopy(job, fps=fps, sink=link.unit), chain((first,), units))
