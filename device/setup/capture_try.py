"""Opens a camera or a microphone as the daemon does, in a worker, and waits for the first picture or sound."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from device.clock import monotonic_us
from device.errors import SourceError
from device.ipc import worker_process
from device.ipc.messages import CameraJob, Capturing, MicrophoneJob
from device.media.block import Block
from device.media.picture import AccessUnit

if TYPE_CHECKING:
    from device.config.schema import Config
    from device.ipc.framing import Received
    from device.ipc.messages import Job

_FIRST_S = 20.0


async def camera(config: Config) -> str:
    """Return in words what delivers. Raises SourceError."""
    job = CameraJob(**config.camera.model_dump(), identity="setup", epoch_us=monotonic_us())
    return await _first("camera", "device.workers.camera", job)


async def microphone(config: Config) -> str:
    """Return in words what delivers. Raises SourceError."""
    job = MicrophoneJob(**config.microphone.model_dump(exclude={"processing"}), epoch_us=monotonic_us())
    return await _first("microphone", "device.workers.microphone", job)


async def _first(name: str, module: str, job: Job) -> str:
    arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    opened: list[Capturing] = []

    def on_message(received: Received) -> None:
        match received.message:
            case Capturing():
                opened.append(received.message)
            case AccessUnit() | Block() if not arrived.done():
                arrived.set_result(None)

    spawned = await worker_process.spawn(name=name, module=module, job=job)
    async with worker_process.running(spawned, on_message=on_message) as child:
        either: set[asyncio.Future[Any]] = {arrived, child.gone}
        await asyncio.wait(either, timeout=_FIRST_S, return_when=asyncio.FIRST_COMPLETED)
        over = child.gone.done()
    if arrived.done():
        return _words(opened[-1]) if opened else "it delivers"
    if over:
        raise SourceError(child.gone.result() or child.last_words or "its worker ended")
    raise SourceError(f"it delivers nothing within {_FIRST_S:.0f} s; look at its cable")


def _words(opened: Capturing) -> str:
    size = f", {opened.width}x{opened.height}" if opened.width else ""
    rate = f" at {opened.fps} fps" if opened.fps else ""
    return f"{opened.device or opened.source}{size}{rate} delivers"
