"""The composition root: streams, their tracks, one room. Start, run until SIGTERM, stop in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import threading
from typing import TYPE_CHECKING

import structlog

import device.log
from device import native_output, native_sdk
from device.clock import ServerClock, monotonic_us
from device.config.validation import Validation, validated
from device.control.socket_server import control_socket
from device.errors import DeviceError, ExitCode
from device.heap import use_one_heap
from device.identity import board_model, keep_identity
from device.ipc.detected import Detected
from device.lifecycle.deadlines import Deadlines
from device.lifecycle.enforcer import enforcing
from device.lifecycle.leave import leave
from device.lifecycle.sd_notify import Notifier
from device.lifecycle.signals import until_ended
from device.log_memory import LogMemory
from device.memory import Trimmer, keep_what_is_loaded
from device.network.probe import Probe
from device.network.resolver import Resolver
from device.network.route import watching
from device.network.sdk import prepare_process
from device.reload.files import ReloadFiles
from device.settings import Settings, of_valid
from device.streams.capture import capturing
from device.streams.plan import plan_streams
from device.telemetry.attributes import Attributes
from device.telemetry.bitrates import Bitrates
from device.telemetry.running_config import RunningConfig
from device.telemetry.state_file import StateFile
from device.telemetry.status import DeviceState, Status
from device.telemetry.transmission import Transmission
from device.timeline import TIMELINE
from device.tokens.selection import identity_may_collide, log_warnings

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from device.control.performer import Performer
    from device.log import LogContext
    from device.room.connection import RoomConnection
    from device.telemetry.room_state import RoomState

log = structlog.get_logger()


def first_attributes() -> Attributes:
    return Attributes(version=device.__version__, model=board_model(), state=DeviceState.CONNECTING.value)


def main(config_path: Path | None, validation: Validation | None = None) -> ExitCode:
    """Run the daemon with the configuration that the command line names, until SIGTERM or SIGINT.

    Its `validation` may run already. Raises ConfigError before anything is started. Else it ends the process itself.
    """
    TIMELINE.mark("imports")
    use_one_heap()
    native_sdk.prepare()
    prepare_process("")
    # Not a daemon thread: a wrong configuration ends this process after the imports, not in the middle of one.
    (importing := threading.Thread(target=_import_the_rest, name="imports")).start()
    keep_identity()
    attributes = first_attributes()
    settings = of_valid((validation or Validation(config_path)).result(), attributes)
    TIMELINE.mark("configuration")
    config = settings.config
    if config.network.ca_file:
        importing.join()  # native code that is being loaded may read the environment
        prepare_process(config.network.ca_file)
    memory = LogMemory()
    log_context = device.log.configure(
        level=config.log.level, format=config.log.format, stream=native_output.relay(), memory=memory
    )
    device.log.install_hooks()
    TIMELINE.log()
    log_warnings(settings.warnings, settings.token_source)
    wanted = settings.token_source.wanted
    log_context.bind(identity=wanted.own_identity, room=wanted.room)

    def reload() -> Settings:
        return of_valid(validated(config_path), attributes)

    async def run_and_leave() -> None:
        leave(await run(settings, attributes, log_context, memory, reload=reload))

    try:
        asyncio.run(run_and_leave())
    except Exception as error:  # the journal gets it, in the journal's own form  # noqa: BLE001
        device.log.crashed(error)
        leave(_exit_code(error))
    return ExitCode.OK


def _import_the_rest() -> None:
    """Import the SDK and what needs it, while a child process validates the configuration and the workers start."""
    with contextlib.suppress(Exception):  # it is imported again, and then its error is reported
        native_sdk.load()
        for name in ("device.streams.stream", "device.room.connection"):
            importlib.import_module(name)


async def run(
    settings: Settings,
    attributes: Attributes,
    log_context: LogContext,
    memory: LogMemory,
    *,
    reload: Callable[[], Settings],
) -> ExitCode:
    """Publish until a signal or a reload ends the process, then leave the room and end the workers, in this order.

    `reload` loads the configuration again. Returns the exit code.
    """
    asyncio.get_running_loop().set_exception_handler(device.log.unhandled)
    log.info("daemon.starting", version=device.__version__, model=board_model())
    notifier, state_file = Notifier.of_environment(), StateFile.of_environment()
    running_config = RunningConfig.of_environment()
    labels = {each.name: each.label for each in settings.config.streams}
    status, deadlines, clock = Status(attributes, notifier, state_file, labels), Deadlines(), ServerClock()
    resolver, trimmer, epoch_us = Resolver(), Trimmer(), monotonic_us()
    bitrates, transmission = Bitrates(), Transmission()
    if identity_may_collide(settings.token_source):
        log.warning(
            "room.identity_not_unique",
            identity=settings.token_source.wanted.derived_identity,
            hint="only the host's name distinguishes this device from others: set room.identity",
        )
    # A hang ends the process: the service manager's watchdog does that, or this process itself.
    enforced: AbstractContextManager[None] = contextlib.nullcontext() if notifier.watched else enforcing(deadlines)
    with enforced:
        plans = plan_streams(settings.config, epoch_us=epoch_us, camera_url_file=settings.camera_url_file)
        async with (
            capturing(plans, observer=status, deadlines=deadlines, detected=Detected.of_service(keeps=True)) as streams,
            watching() as routes,
            asyncio.TaskGroup() as tasks,
        ):
            from device.reload.reloader import Reloader
            from device.reload.running import RunningDevice
            from device.room.connection import RoomConnection  # the SDK is loaded by now
            from device.room.dependencies import RoomDependencies

            def on_room(state: RoomState, why: str) -> None:
                status.room(state, why)
                trimmer.soon()

            def connect(settings: Settings, why: str) -> RoomConnection:
                urls, token_source = settings.config.room.url, settings.token_source
                return RoomConnection(
                    RoomDependencies(
                        urls=urls,
                        token_source=token_source,
                        resolver=resolver,
                        routes=routes,
                        relay_only=settings.config.network.relay == "always",
                        listeners=(bitrates, transmission),
                    ),
                    reconnect=settings.config.reconnect,
                    stall_s=settings.config.watch.delivery_stall_s,
                    tracks=[each.track for each in streams],
                    attributes=attributes,
                    log_context=log_context,
                    on_state=on_room,
                    on_publication=status.publication,
                    clock=clock,
                    on_clock=status.clock,
                    deadlines=deadlines,
                    rejoins_because=why,
                )

            keep_what_is_loaded()
            running = RunningDevice(
                settings,
                streams,
                tasks=tasks,
                connect=connect,
                clock=clock,
                epoch_us=epoch_us,
                in_effect=running_config.write,
            )
            files, probe = ReloadFiles.of_environment(), Probe(resolver)
            reloader = Reloader(running, load=reload, status=status, notifier=notifier, files=files, probe=probe)

            def performer() -> Performer:
                from device.control.performer import Performer

                return Performer(
                    running,
                    reloader=reloader,
                    status=status,
                    bitrates=bitrates,
                    clock=clock,
                    memory=memory,
                    started_at=epoch_us / 1e6,
                )

            others = [
                tasks.create_task(reloader.run(), name="reload"),
                tasks.create_task(notifier.keep_alive(deadlines), name="watchdog"),
            ]
            if settings.config.metrics.on:
                from device.metrics.reader import Reader
                from device.metrics.service import run_metrics

                reader = Reader(
                    running,
                    status=status,
                    bitrates=bitrates,
                    transmission=transmission,
                    clock=clock,
                    started_at=epoch_us / 1e6,
                )
                measuring = run_metrics(settings.config.metrics, reader, attributes)
                others.append(tasks.create_task(measuring, name="metrics"))
            async with control_socket(performer):
                # Without devices or a network the device recovers; its start has not failed.
                notifier.ready()
                exit_code = await until_ended(reloader.request if notifier.managed else None, reloader.end_process)
            log.info("daemon.stopping")
            notifier.stopping()
            for task in others:
                task.cancel()
            await running.leave()
    running_config.remove()
    state_file.remove()
    log.info("daemon.stopped")
    return exit_code


def _exit_code(error: BaseException) -> ExitCode:
    """Return the exit code of the first error of ours, which may be in a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error.exit_code if isinstance(error, DeviceError) else ExitCode.INTERNAL
