"""A service without a configuration: it reports what to do, and waits. It joins nothing and starts no worker.

An installed package starts its service at once. A failed service would be a false alarm, and a service manager that
gives up on it would not start it later. `livekit-device setup` restarts it; a reload does, if there is a configuration.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

import structlog

import device
from device import log as log_setup
from device.config.places import is_set_up
from device.errors import ExitCode
from device.lifecycle.deadlines import Deadlines
from device.lifecycle.leave import leave
from device.lifecycle.sd_notify import Notifier
from device.lifecycle.signals import until_signalled

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.get_logger()

STATUS = 'not set up: run "sudo livekit-device setup"'


def main(config_path: Path | None = None) -> NoReturn:
    """Wait until a signal ends this process, or until a reload finds a configuration."""
    log_setup.configure(level="info", format="auto")
    log_setup.install_hooks()
    leave(asyncio.run(run(config_path)))


async def run(config_path: Path | None = None) -> ExitCode:
    """Report READY and the status, and feed the watchdog, until a signal ends this process; return its exit code."""
    notifier = Notifier.of_environment()
    log.warning("daemon.not_set_up", version=device.__version__, hint='run "sudo livekit-device setup"')
    notifier.status(STATUS)
    notifier.ready()
    watchdog = asyncio.create_task(notifier.keep_alive(Deadlines()), name="watchdog")
    found = asyncio.Event()

    def reload() -> None:
        notifier.reloading()
        set_up = is_set_up(config_path)  # before the answer, after which there may be a configuration for the next one
        notifier.ready()
        if set_up:
            found.set()

    ended = asyncio.create_task(until_signalled(reload if notifier.managed else None), name="signals")
    finding = asyncio.create_task(found.wait(), name="configuration")
    await asyncio.wait({ended, finding}, return_when=asyncio.FIRST_COMPLETED)
    notifier.stopping()
    for task in (watchdog, ended, finding):
        task.cancel()
    log.info("daemon.stopped")
    return ExitCode.TEMPORARY if found.is_set() else ExitCode.OK
