"""Takes a picture of a camera for a caller. None is kept: it is made when it is asked for."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from device.clock import epoch_of_us
from device.control.results import Picture
from device.errors import CallError, RequestRefusedError, WorkerRequestError
from device.ipc.messages import TakeSnapshot
from device.ipc.worker_state import WorkerState
from device.tracks.video import VideoTrack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from device.control.operations import GetSnapshot
    from device.ipc.supervisor import Supervisor
    from device.streams.stream import Stream

_JPEG = b"\xff\xd8"
_US = 1_000_000


async def snapshot(call: GetSnapshot, streams: Mapping[str, Stream]) -> Picture:
    """Return a picture of the stream, or of the first camera. Raises CallError."""
    cameras = {name: each for name, each in streams.items() if isinstance(each.track, VideoTrack)}
    name = call.stream or next(iter(cameras), "")
    if name not in cameras:
        raise CallError(f"there is no camera of this name; there are: {', '.join(cameras) or 'none'}")
    stream = cameras[name]
    async with stream.watching.open() if stream.watching else contextlib.nullcontext():  # it may be asleep
        return await _snapshot(call, name, stream.supervisor)


async def _snapshot(call: GetSnapshot, name: str, supervisor: Supervisor) -> Picture:
    if supervisor.state is not WorkerState.LIVE:
        raise CallError(f"{name} has no picture: its state is {supervisor.state.value}")
    try:
        found = await supervisor.requests.request(
            TakeSnapshot(max_width=call.max_width, quality=call.quality, full=call.full)
        )
    except RequestRefusedError as error:
        raise CallError(f"{name}: {error}") from None
    except WorkerRequestError:
        raise CallError(f"{name} has delivered no picture; look at its state") from None
    if supervisor.held.active:  # since then
        raise CallError(f"{name} has no picture: its state is {supervisor.state.value}")
    if not found.data.startswith(_JPEG):
        raise CallError(f"{name}: the worker has sent something else than a picture")
    return Picture(
        stream=name,
        captured_at=time_text(epoch_of_us(found.captured_at_us)),
        width=found.width,
        height=found.height,
        full=found.full,
        data=found.data,
    )


def time_text(epoch_us: int) -> str:
    """Return a time as ISO 8601, in UTC with milliseconds."""
    seconds, rest_us = divmod(epoch_us, _US)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest_us // 1000:03}Z"
