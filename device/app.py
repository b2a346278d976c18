"""The composition root: two workers, two tracks, one room. Start, run until told to stop, stop in reverse."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import structlog

import device
from device.clock import ServerClock
from device.errors import NativePanicError
from device.identity import board_model
from device.lifecycle.deadlines import Deadlines
from device.lifecycle.enforcer import enforcing
from device.lifecycle.sd_notify import Notifier
from device.lifecycle.signals import until_signalled
from device.network.resolver import Resolver
from device.network.route import watching
from device.streams.capture import capturing
from device.telemetry.attributes import Attributes
from device.telemetry.state_file import StateFile
from device.telemetry.status import DeviceState, Status
from device.tokens.selection import TokenFile, announce_expiry, identity_may_collide

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from device.config.schema import Config
    from device.log import LogContext
    from device.tokens.join_token import TokenSource

log = structlog.get_logger()


def first_attributes() -> Attributes:
    return Attributes(version=device.__version__, model=board_model(), state=DeviceState.CONNECTING.value)


async def run(config: Config, credentials: TokenSource, attributes: Attributes, log_context: LogContext) -> None:
    """Publish until SIGTERM or SIGINT, then leave the room and end the workers, in this order."""
    asyncio.get_running_loop().set_exception_handler(_log_unhandled)
    log.info("daemon.starting", version=device.__version__, model=board_model())
    notifier, state_file = Notifier.of_environment(), StateFile.of_environment()
    status, deadlines, clock = Status(attributes, notifier, state_file), Deadlines(), ServerClock()
    if identity_may_collide(credentials):
        log.warning(
            "room.identity_not_unique",
            identity=credentials.wanted.derived_identity,
            hint="nothing but the host's name tells this device from others: set room.identity",
        )
    # A hang ends the process: a manager with a watchdog sees to that, else this process itself.
    enforced: AbstractContextManager[None] = contextlib.nullcontext() if notifier.watched else enforcing(deadlines)
    with enforced:
        async with capturing(config, status, deadlines) as tracks, watching() as routes, asyncio.TaskGroup() as tasks:
            from device.room.connection import (  # it needs the SDK, which is loaded by now
                RoomConnection,
                RoomDependencies,
            )

            presence = RoomConnection(
                RoomDependencies(urls=config.room.url, credentials=credentials, resolver=Resolver(), routes=routes),
                reconnect=config.reconnect,
                stall_s=config.watch.delivery_stall_s,
                tracks=tracks,
                attributes=attributes,
                log_context=log_context,
                on_state=status.room,
                on_publication=status.publication,
                clock=clock,
                on_clock=status.clock,
                deadlines=deadlines,
            )
            running = [
                tasks.create_task(presence.run(), name="room"),
                tasks.create_task(notifier.keep_alive(deadlines), name="watchdog"),
            ]
            if isinstance(credentials, TokenFile):
                running.append(tasks.create_task(announce_expiry(credentials, clock), name="token-expiry"))
            # Not a word about devices or network: a device without them is recovering, not failing to start.
            notifier.ready()
            panicked = await until_signalled()
            if panicked:
                # Nothing of the library is asked to leave in order.
                raise NativePanicError("the SDK's native library has ended this process (SIGTERM by itself)")
            log.info("daemon.stopping")
            notifier.stopping()
            for task in running:
                task.cancel()
    state_file.remove()
    log.info("daemon.stopped")


def _log_unhandled(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    where = str(context.get("task") or context.get("future") or context.get("handle") or "")
    log.error("daemon.unhandled", message=context.get("message"), where=where, exc_info=context.get("exception"))
