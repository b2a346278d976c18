"""The daemon's process: what it needs before the event loop runs, and its end. `app` is what runs in the loop."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import threading
from typing import TYPE_CHECKING

import structlog

import device.log
from device import app, native_output, native_sdk
from device.errors import ExitCode
from device.heap import use_one_heap
from device.identity import keep_identity
from device.lifecycle.ending import exit_code_of
from device.lifecycle.execute_again import Handover, execute_again
from device.lifecycle.leave import leave
from device.log_memory import LogMemory
from device.native_sdk.restarts import RESTARTS
from device.network.sdk import prepare_process
from device.settings import Loader, of_valid
from device.telemetry.status import first_attributes
from device.timeline import TIMELINE
from device.tokens.selection import log_warnings

if TYPE_CHECKING:
    from pathlib import Path

    from device.config.validation import Validation

log = structlog.get_logger()


def main(config_path: Path | None, validation: Validation, handover: Handover | None) -> ExitCode:
    """Run the daemon with the configuration that the command line names, until SIGTERM or SIGINT.

    Its `validation` runs already. `handover` is from the execution before, if this process executed itself again.
    Raises ConfigError before anything is started. Else it ends the process itself.
    """
    if handover is not None:
        TIMELINE.began(handover.at_s)
    TIMELINE.mark("imports")
    use_one_heap()
    native_sdk.prepare()
    prepare_process("")
    # Not a daemon thread: a wrong configuration ends this process after the imports, not in the middle of one.
    (importing := threading.Thread(target=_import_the_rest, name="imports")).start()
    keep_identity()
    attributes = first_attributes()
    settings = of_valid(validation.result(), attributes)
    TIMELINE.mark("configuration")
    config = settings.config
    if config.network.ca_file:
        importing.join()  # native code that is being loaded may read the environment
        prepare_process(config.network.ca_file)
    memory = LogMemory()
    stderr = native_output.relay(on_record=RESTARTS.read)
    log_context = device.log.configure(level=config.log.level, format=config.log.format, stream=stderr, memory=memory)
    device.log.install_hooks()
    TIMELINE.log()
    if handover is not None:
        log.info("daemon.executed_again", times=handover.times)
    log_warnings(settings.warnings, settings.token_source)
    wanted = settings.token_source.wanted
    log_context.bind(identity=wanted.own_identity, room=wanted.room)

    async def run_and_leave() -> None:
        end = await app.run(
            settings, attributes, log_context, memory, loader=Loader(config_path, attributes), handover=handover
        )
        if isinstance(end, Handover):
            execute_again(end, stderr=stderr.fileno())
        leave(end)

    try:
        asyncio.run(run_and_leave())
    except Exception as error:  # the journal gets it, in the journal's own form  # noqa: BLE001
        device.log.crashed(error)
        leave(exit_code_of(error))
    return ExitCode.OK


def _import_the_rest() -> None:
    """Import the SDK and what needs it, while a child process validates the configuration and the workers start."""
    with contextlib.suppress(Exception):  # it is imported again, and then its error is reported
        native_sdk.load()
        for name in ("device.streams.stream", "device.room.connection", "device.room.dependencies"):
            importlib.import_module(name)
