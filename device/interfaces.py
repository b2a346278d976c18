"""How the running device is asked and measured from outside: the control socket, the room, [metrics], [hooks]."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from functools import cache
from typing import TYPE_CHECKING

from device.control.socket_server import control_socket

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Iterator

    from device.clock import ServerClock
    from device.control.hooks import WatchHooks
    from device.control.performer import Performer
    from device.control.remote import RemoteControl
    from device.log_memory import LogMemory
    from device.privacy import KeptPrivacy
    from device.reload.reloader import Reloader
    from device.reload.running import RunningDevice
    from device.speaker.speaker import Speaker
    from device.telemetry.attributes import Attributes
    from device.telemetry.bitrates import Bitrates
    from device.telemetry.status import Status
    from device.telemetry.transmission import Transmission


@asynccontextmanager
async def interfaces(
    running: RunningDevice,
    *,
    tasks: asyncio.TaskGroup,
    reloader: Reloader,
    attributes: Attributes,
    status: Status,
    bitrates: Bitrates,
    transmission: Transmission,
    clock: ServerClock,
    memory: LogMemory,
    privacy: KeptPrivacy,
    remote: RemoteControl,
    started_at: float,
    speaker: Speaker | None,
) -> AsyncIterator[None]:
    """Take calls and be measured while the context lasts. What is not used is not loaded."""

    @cache
    def performer() -> Performer:
        from device.control.performer import Performer

        return Performer(
            running,
            reloader=reloader,
            status=status,
            bitrates=bitrates,
            clock=clock,
            memory=memory,
            privacy=privacy,
            started_at=started_at,
            speaker=speaker,
        )

    metrics, measuring = running.settings.config.metrics, None
    if metrics.on:
        from device.metrics.reader import Reader
        from device.metrics.service import run_metrics

        reader = Reader(
            running,
            status=status,
            bitrates=bitrates,
            transmission=transmission,
            clock=clock,
            started_at=started_at,
            speaker=speaker,
        )
        measuring = tasks.create_task(run_metrics(metrics, reader, attributes), name="metrics")
    remote.performer = performer
    try:
        with _hooks(running, tasks, performer):
            async with control_socket(performer):
                yield
    finally:
        remote.cancel()
        if measuring is not None:
            measuring.cancel()


@contextmanager
def _hooks(running: RunningDevice, tasks: asyncio.TaskGroup, performer: Callable[[], Performer]) -> Iterator[None]:
    """Run the commands of [hooks] while the context lasts. At first nobody watches."""
    watching = [each.watching for each in running.streams.values() if each.watching]

    @cache
    def hooks() -> WatchHooks:
        from device.control.hooks import WatchHooks

        return WatchHooks(
            lambda call, caller: performer().perform(call, caller=caller),
            configured=lambda: running.settings.config.hooks,
            tasks=tasks,
        )

    def on_change(watched: bool) -> None:  # noqa: FBT001 - a listener
        if running.settings.config.hooks.on or hooks.cache_info().currsize:
            hooks().changed(watched)

    for each in watching[:1]:  # they share their listeners
        each.listeners.append(on_change)
        on_change(any(camera.watched for camera in watching))
    try:
        yield
    finally:
        if hooks.cache_info().currsize:
            hooks().cancel()
