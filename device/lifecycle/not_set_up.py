"""A service without a configuration: it reports what to do, and waits. It joins nothing and starts no worker.

An installed package starts its service at once. A failed service would be a false alarm, and a service manager that
gives up on it would not start it later. `livekit-device setup` restarts it.
"""

from __future__ import annotations

import asyncio
from typing import NoReturn

import structlog

import device
from device import log as log_setup
from device.errors import ExitCode
from device.lifecycle.deadlines import Deadlines
from device.lifecycle.leave import leave
from device.lifecycle.sd_notify import Notifier
from device.lifecycle.signals import until_signalled

log = structlog.get_logger()

STATUS = 'not set up: run "sudo livekit-device setup"'


def main() -> NoReturn:
    """Wait until a signal ends this process."""
    log_setup.configure(level="info", format="auto")
    log_setup.install_hooks()
    asyncio.run(run())
    leave(ExitCode.OK)


async def run() -> None:
    """Report READY and the status, and feed the watchdog, until a signal ends this process."""
    notifier = Notifier.of_environment()
    log.warning("daemon.not_set_up", version=device.__version__, hint='run "sudo livekit-device setup"')
    notifier.status(STATUS)
    notifier.ready()
    watchdog = asyncio.create_task(notifier.keep_alive(Deadlines()), name="watchdog")
    await until_signalled()
    notifier.stopping()
    watchdog.cancel()
    log.info("daemon.stopped")
