"""How the running device is asked and measured from outside: the control socket, the room, and [metrics]."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING

from device.control.socket_server import control_socket

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

    from device.clock import ServerClock
    from device.control.performer import Performer
    from device.control.remote import RemoteControl
    from device.log_memory import LogMemory
    from device.privacy import KeptPrivacy
    from device.reload.reloader import Reloader
    from device.reload.running import RunningDevice
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
        )
        measuring = tasks.create_task(run_metrics(metrics, reader, attributes), name="metrics")
    remote.performer = performer
    try:
        async with control_socket(performer):
            yield
    finally:
        remote.cancel()
        if measuring is not None:
            measuring.cancel()
