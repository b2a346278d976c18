"""Opens a camera or a microphone as the daemon does, in a worker, and waits for the first picture or sound."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from device.errors import NotPresentError, SourceError
from device.ipc import worker_process
from device.ipc.messages import Capturing
from device.media.block import Block
from device.media.picture import AccessUnit
from device.streams.plan import plan_streams

if TYPE_CHECKING:
    from device.config.effective import Config
    from device.ipc.framing import Received

_FIRST_S = 20.0


async def first_media(name: str, config: Config) -> str:
    """Return a text about what the stream of this name delivers. Raises SourceError, also NotPresentError."""
    [worker] = [plan.worker for plan in plan_streams(config) if plan.name == name]
    arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    opened: list[Capturing] = []

    def on_message(received: Received) -> None:
        match received.message:
            case Capturing():
                opened.append(received.message)
            case AccessUnit() | Block() if not arrived.done():
                arrived.set_result(None)

    try:
        spawned = await worker_process.spawn(name=name, module=worker.module, job=worker.job)
    except OSError as error:
        raise SourceError(f"its worker cannot be started: {error.strerror}") from None
    async with worker_process.running(spawned, on_message=on_message) as child:
        either: set[asyncio.Future[Any]] = {arrived, child.gone}
        await asyncio.wait(either, timeout=_FIRST_S, return_when=asyncio.FIRST_COMPLETED)
        ended = child.gone.done()
    if arrived.done():
        return _words(opened[-1]) if opened else "it delivers data"
    if ended:
        failure = NotPresentError if child.failure == NotPresentError.__name__ else SourceError
        raise failure(child.gone.result() or child.last_words or "its worker ended")
    raise SourceError(f"it delivers no data within {_FIRST_S:.0f} s; check its cable")


def _words(opened: Capturing) -> str:
    size = f", {opened.width}x{opened.height}" if opened.width else ""
    rate = f" at {opened.fps} fps" if opened.fps else ""
    return f"{opened.device or opened.source}{size}{rate} delivers"
