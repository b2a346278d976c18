"""The composition root: streams, their tracks, one room. Start, run until SIGTERM, stop in reverse."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import structlog

import device.log
from device.clock import ServerClock, monotonic_us
from device.config.layer import LayerKind, changes_of
from device.control.remote import RemoteControl
from device.identity import board_model
from device.interfaces import interfaces
from device.ipc.detected import Detected
from device.lifecycle.deadlines import Deadlines
from device.lifecycle.ending import next_execution, until_ended
from device.lifecycle.enforcer import enforcing
from device.lifecycle.memory_watch import MemoryWatch
from device.lifecycle.sd_notify import Notifier
from device.lifecycle.signals import EndingSignals
from device.memory import Trimmer, keep_what_is_loaded
from device.network.probe import Probe
from device.network.resolver import Resolver
from device.network.route import watching
from device.privacy import KeptPrivacy
from device.streams.capture import capturing
from device.streams.plan import plan_streams
from device.talkback import Talkback
from device.telemetry.bitrates import Bitrates
from device.telemetry.running_config import RunningConfig
from device.telemetry.state_file import StateFile
from device.telemetry.status import Status
from device.telemetry.transmission import Transmission
from device.tokens.selection import warn_of_shared_identity

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from device.errors import ExitCode
    from device.lifecycle.execute_again import Handover
    from device.log import LogContext
    from device.log_memory import LogMemory
    from device.room.connection import RoomConnection
    from device.settings import Loader, Settings
    from device.telemetry.attributes import Attributes
    from device.telemetry.room_state import RoomState

log = structlog.get_logger()


async def run(
    settings: Settings,
    attributes: Attributes,
    log_context: LogContext,
    memory: LogMemory,
    *,
    loader: Loader,
    handover: Handover | None = None,
) -> ExitCode | Handover:
    """Publish until a signal or a reload ends the process, then leave the room and end the workers, in this order.

    `loader` loads the configuration again. `handover` is from the execution before, if this process executed itself
    again. Returns the exit code, or what the next execution has to know.
    """
    asyncio.get_running_loop().set_exception_handler(device.log.unhandled)
    log.info("daemon.starting", version=device.__version__, model=board_model())
    notifier, state_file = Notifier.of_environment(), StateFile.of_environment()
    running_config, detected, privacy = RunningConfig.of_environment(), Detected.of_service(keeps=True), KeptPrivacy()
    labels = {each.name: each.label for each in settings.config.streams}
    status, deadlines, clock = Status(attributes, notifier, state_file, labels), Deadlines(), ServerClock()
    resolver, trimmer, epoch_us, bitrates, sent = Resolver(), Trimmer(), monotonic_us(), Bitrates(), Transmission()
    warn_of_shared_identity(settings.token_source)
    # A hang ends the process: the service manager's watchdog does that, or this process itself.
    enforced: AbstractContextManager[None] = contextlib.nullcontext() if notifier.watched else enforcing(deadlines)
    with enforced:
        plans = plan_streams(settings.config, epoch_us=epoch_us, camera_url_file=settings.camera_url_file)
        talkback = Talkback(settings.config.speaker)
        async with (
            capturing(
                plans,
                observer=status,
                deadlines=deadlines,
                detected=detected,
                privacy=privacy.now,
                echo=talkback.echo,
            ) as streams,
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
                return RoomConnection(
                    RoomDependencies(
                        urls=settings.config.room.url,
                        token_source=settings.token_source,
                        resolver=resolver,
                        routes=routes,
                        relay_only=settings.config.network.relay == "always",
                        listeners=(bitrates, sent, talkback),
                        streams=tuple(each.watching for each in streams if each.watching),
                        on_joined=tuple(filter(None, (remote.of(settings.config.control.allow), talkback.serve))),
                        between_sessions=watch.between_sessions,
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

            def in_effect(settings: Settings) -> None:
                running_config.write(settings.config, settings.layers)
                watch.use(settings.config.watch.memory_mb)
                talkback.use(settings.config.speaker)

            keep_what_is_loaded()
            talkback.start(tasks, attributes=attributes, deadlines=deadlines)
            remote = RemoteControl(tasks)
            watch = MemoryWatch(
                tasks,
                moment=lambda: running.moment,
                files=lambda: reloader.compare(),  # there is none yet  # noqa: PLW0108
                times=handover.times if handover else 0,
            )
            for each in streams:
                each.track.muted = handover is not None and each.name in handover.muted
            running = RunningDevice(
                settings,
                streams,
                tasks=tasks,
                connect=connect,
                clock=clock,
                epoch_us=epoch_us,
                in_effect=in_effect,
                begins_because="its memory was freed" if handover else "",
                before_leaving=remote.before_leaving,
            )
            reloader = Reloader(running, loader=loader, status=status, notifier=notifier, probe=Probe(resolver))
            reloads = tasks.create_task(reloader.run(), name="reload")
            beats = tasks.create_task(notifier.keep_alive(deadlines), name="watchdog")
            async with interfaces(
                running,
                tasks=tasks,
                reloader=reloader,
                attributes=attributes,
                status=status,
                bitrates=bitrates,
                transmission=sent,
                clock=clock,
                memory=memory,
                privacy=privacy,
                remote=remote,
                started_at=epoch_us / 1e6,
                speaker=talkback.speaker,
            ):
                # Without devices or a network the device recovers; its start has not failed.
                notifier.ready()
                # Without a service manager SIGHUP ends the process, as of a closed terminal.
                signals = EndingSignals(reloader.request if notifier.managed else None)
                end = await until_ended(signals, new_process=reloader.end_process, again=watch.wanted)
            log.info("daemon.stopping")
            # For systemd a new execution is a reload: `ready` ends it.
            (notifier.reloading if end is None else notifier.stopping)()
            watch.stop()
            for task in (reloads, beats, *talkback.running):
                task.cancel()
            await running.leave()
    running_config.remove()
    state_file.remove()
    log.info("daemon.stopped")
    if end is not None:
        return end
    muted = tuple(each.name for each in streams if each.track.muted)
    temporary = changes_of(running.settings.layers, LayerKind.TEMPORARY)
    return next_execution(signals, times=watch.times_after(), muted=muted, temporary=temporary)
