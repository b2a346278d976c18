"""All streams of the device, running for as long as a context lasts."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from device import native_sdk
from device.ipc.detected import Detected
from device.ipc.worker_process import spawn
from device.ipc.worker_state import WorkerState
from device.privacy import Privacy
from device.timeline import TIMELINE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from device.ipc.worker_plan import WorkerPlan
    from device.ipc.worker_process import SpawnedWorker
    from device.lifecycle.deadlines import Deadlines
    from device.speaker.reference import EchoReference
    from device.streams.plan import StreamObserver, StreamPlan
    from device.streams.stream import Stream
    from device.streams.watching import Viewers


@asynccontextmanager
async def capturing(
    plans: Sequence[StreamPlan],
    *,
    observer: StreamObserver,
    deadlines: Deadlines,
    detected: Detected | None = None,
    privacy: Privacy | None = None,
    echo: EchoReference | None = None,
) -> AsyncIterator[list[Stream]]:
    """Run a stream for each plan and yield them; on leaving, end their workers within a second.

    The workers are started before the SDK is loaded: that takes half a second, and seconds on a small board, in which
    they open their devices. `detected` are the streams whose absence is a fault. For a stream under `privacy` no
    worker is started. `echo` is what the device's own speaker plays, if it has one.
    """
    detected, privacy = detected or Detected(), privacy or Privacy()
    async with contextlib.AsyncExitStack() as stack:
        spawned = []
        for plan in plans:
            private = privacy.covers(plan.name)
            observer.worker(plan.name, WorkerState.PRIVACY if private else WorkerState.STARTING, "")
            if (worker := None if private else await _spawned(plan.worker)) is not None:
                stack.push_async_callback(worker.aclose)
            spawned.append(worker)
        TIMELINE.mark("workers spawned")
        native_sdk.load()
        from device.streams.stream import build_stream

        TIMELINE.mark("SDK loaded")
        native_sdk.library()  # before anything is created in it
        viewers = _viewers(plans, observer)
        streams = [
            build_stream(
                plan,
                spawned=worker,
                observer=viewers or observer,
                detected=detected,
                deadlines=deadlines,
                echo=echo,
                viewers=viewers,
            )
            for plan, worker in zip(plans, spawned, strict=True)
        ]
        for stream in streams:
            if privacy.covers(stream.name):
                stream.conceal()
            stack.push_async_callback(stream.aclose)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(each.run(), name=each.name) for each in streams]
            try:
                yield streams
            finally:
                for task in running:
                    task.cancel()


def _viewers(plans: Sequence[StreamPlan], observer: StreamObserver) -> Viewers | None:
    """Return what the streams share if a camera does not send to nobody."""
    if all(each.when_unwatched == "send" for each in plans):
        return None
    from device.streams.watching import Viewers

    return Viewers(plans, observer)


async def _spawned(plan: WorkerPlan) -> SpawnedWorker | None:
    """Start a worker ahead of its supervisor; None if it cannot be started now, which the supervisor repeats."""
    with contextlib.suppress(OSError):
        return await spawn(name=plan.name, module=plan.module, job=plan.job)
    return None
