"""The composition root: streams, their tracks, one room. Start, run until SIGTERM, stop in reverse."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import structlog

import device.log
from device.clock import ServerClock
from device.errors import DeviceError, ExitCode, NativePanicError
from device.identity import board_model, keep_identity
from device.ipc.detected import Detected
from device.lifecycle.deadlines import Deadlines
from device.lifecycle.enforcer import enforcing
from device.lifecycle.leave import leave
from device.lifecycle.sd_notify import Notifier
from device.lifecycle.signals import until_signalled
from device.network.resolver import Resolver
from device.network.route import watching
from device.settings import load
from device.streams.capture import capturing
from device.streams.plan import plan_streams
from device.telemetry.attributes import Attributes
from device.telemetry.state_file import StateFile
from device.telemetry.status import DeviceState, Status
from device.tokens.selection import TokenFile, announce_expiry, identity_may_collide, log_warnings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from device.config.schema import Config
    from device.log import LogContext
    from device.tokens.join_token import TokenSource

log = structlog.get_logger()


def first_attributes() -> Attributes:
    return Attributes(version=device.__version__, model=board_model(), state=DeviceState.CONNECTING.value)


def main(config_path: Path | None) -> ExitCode:
    """Run the daemon with the configuration that the command line names, until SIGTERM or SIGINT.

    Raises ConfigError before anything is started. Else it ends the process itself.
    """
    keep_identity()
    attributes = first_attributes()
    settings = load(config_path, attributes)
    config, token_source = settings.config, settings.token_source
    log_context = device.log.configure(level=config.log.level, format=config.log.format)
    device.log.install_hooks()
    log_warnings(settings.warnings, token_source)
    wanted = token_source.wanted
    log_context.bind(identity=wanted.identity or wanted.derived_identity, room=wanted.room)

    async def run_and_leave() -> None:
        await run(config, token_source, attributes, log_context)
        leave(ExitCode.OK)

    try:
        asyncio.run(run_and_leave())
    except Exception as error:  # the journal gets it, in the journal's own form  # noqa: BLE001
        device.log.crashed(error)
        leave(_exit_code(error))
    return ExitCode.OK


async def run(config: Config, token_source: TokenSource, attributes: Attributes, log_context: LogContext) -> None:
    """Publish until SIGTERM or SIGINT, then leave the room and end the workers, in this order."""
    asyncio.get_running_loop().set_exception_handler(_log_unhandled)
    log.info("daemon.starting", version=device.__version__, model=board_model())
    notifier, state_file = Notifier.of_environment(), StateFile.of_environment()
    labels = {each.name: each.label for each in config.streams}
    status, deadlines, clock = Status(attributes, notifier, state_file, labels), Deadlines(), ServerClock()
    if identity_may_collide(token_source):
        log.warning(
            "room.identity_not_unique",
            identity=token_source.wanted.derived_identity,
            hint="only the host's name distinguishes this device from others: set room.identity",
        )
    # A hang ends the process: the service manager's watchdog does that, or this process itself.
    enforced: AbstractContextManager[None] = contextlib.nullcontext() if notifier.watched else enforcing(deadlines)
    with enforced:
        async with (
            capturing(
                plan_streams(config),
                observer=status,
                deadlines=deadlines,
                detected=Detected.of_service(keeps=True),
            ) as streams,
            watching() as routes,
            asyncio.TaskGroup() as tasks,
        ):
            from device.room.connection import RoomConnection, RoomDependencies  # the SDK is loaded by now

            connection = RoomConnection(
                RoomDependencies(urls=config.room.url, token_source=token_source, resolver=Resolver(), routes=routes),
                reconnect=config.reconnect,
                stall_s=config.watch.delivery_stall_s,
                tracks=[each.track for each in streams],
                attributes=attributes,
                log_context=log_context,
                on_state=status.room,
                on_publication=status.publication,
                clock=clock,
                on_clock=status.clock,
                deadlines=deadlines,
            )
            running = [
                tasks.create_task(connection.run(), name="room"),
                tasks.create_task(notifier.keep_alive(deadlines), name="watchdog"),
            ]
            if isinstance(token_source, TokenFile):
                running.append(tasks.create_task(announce_expiry(token_source, clock), name="token-expiry"))
            # Without devices or a network the device recovers; its start has not failed.
            notifier.ready()
            panicked = await until_signalled()
            if panicked:
                # The library's state cannot be trusted, so it is not asked to leave the room.
                raise NativePanicError("the SDK's native library has ended this process (SIGTERM by itself)")
            log.info("daemon.stopping")
            notifier.stopping()
            for task in running:
                task.cancel()
    state_file.remove()
    log.info("daemon.stopped")


def _exit_code(error: BaseException) -> ExitCode:
    """Return the exit code of the first error of ours, which may be in a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error.exit_code if isinstance(error, DeviceError) else ExitCode.INTERNAL


def _log_unhandled(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    where = str(context.get("task") or context.get("future") or context.get("handle") or "")
    log.error("daemon.unhandled", message=context.get("message"), where=where, exc_info=context.get("exception"))
