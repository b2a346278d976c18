"""A service without a configuration: it runs, says what to do, and waits. Nothing is joined and no worker started.

An installed package starts its service at once. A service that failed then would be an alarm about nothing, and a
service manager that gives up on it would not start it later. `livekit-device setup` restarts it.
"""

from __future__ import annotations

import asyncio

import structlog

import device
from device.lifecycle.deadlines import Deadlines
from device.lifecycle.sd_notify import Notifier
from device.lifecycle.signals import until_signalled

log = structlog.get_logger()

STATUS = 'not set up: run "sudo livekit-device setup"'


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
