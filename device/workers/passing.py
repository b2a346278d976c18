"""The loop of a worker that passes H.264 through: units in, requests carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device.ipc.messages import SetControls, SetPaused, TakeSnapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from device.ipc.worker_link import WorkerLink
    from device.media.picture import AccessUnit
    from device.workers.bridged_copy import BridgedCopy
    from device.workers.pausing import Pausing


def pass_through(
    link: WorkerLink,
    copy: BridgedCopy,
    units: Iterable[AccessUnit],
    *,
    set_controls: Callable[[Mapping[str, Any]], str] | None = None,
) -> None:
    """Send units, and carry out the daemon's requests; log once what cannot be changed.

    `set_controls` sets a camera's controls, and returns what is wrong with them.
    """
    logged = False
    pausing: Pausing | None = None
    for unit in units:
        for request in link.requests():
            if set_controls is not None and isinstance(request.message, SetControls):
                link.reply(request, set_controls(request.message.controls))
                continue
            if isinstance(request.message, TakeSnapshot):
                copy.take_snapshot(request, link)
                continue
            if isinstance(request.message, SetPaused):
                pausing = pausing or _pausing(link)
                pausing.pause(paused=request.message.paused)
            why = copy.carry_out(request.message)
            if why and not logged:
                logged = True
                link.log("info", "camera.requests_ignored", why=why)
            link.reply(request)
        if pausing is not None and pausing.skips():
            copy.skip(unit)
        else:
            copy.take(unit)


def _pausing(link: WorkerLink) -> Pausing:
    from device.workers.pausing import Pausing

    return Pausing(link)
