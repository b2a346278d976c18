"""The composition root: two workers, two tracks, one room. Start, run until told to stop, stop in reverse."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import structlog

import device
from device.capture import capturing
from device.health.status import DeviceState, Status
from device.identity import board_model
from device.room.attributes import Attributes
from device.room.presence import Presence

if TYPE_CHECKING:
    from device.config import Config
    from device.log import LogContext
    from device.room.ticket import Credentials

log = structlog.get_logger()


def first_attributes() -> Attributes:
    return Attributes(version=device.__version__, model=board_model(), state=DeviceState.CONNECTING.value)


async def run(config: Config, credentials: Credentials, attributes: Attributes, log_context: LogContext) -> None:
    """Publish until SIGTERM or SIGINT, then leave the room and end the workers, in this order."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_unhandled)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    log.info("daemon.starting", version=device.__version__, model=board_model())
    status = Status(attributes)
    async with capturing(config, status) as tracks, asyncio.TaskGroup() as tasks:
        presence = Presence(
            credentials, tracks=tracks, attributes=attributes, log_context=log_context, on_state=status.room
        )
        room = tasks.create_task(presence.run(), name="room")
        await stop.wait()
        log.info("daemon.stopping")
        room.cancel()
    log.info("daemon.stopped")


def _log_unhandled(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    log.error("daemon.unhandled", message=context.get("message"), exc_info=error)
