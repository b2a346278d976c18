"""Waits for signals that end this process, and checks their sender: the SDK's library sends SIGTERM to itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time

import structlog

from device.errors import ExitCode

log = structlog.get_logger()

_END_S = 4.0  # less than the unit's TimeoutStopSec of 5 s
ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


def block() -> None:
    """Block these signals for `until_signalled`. Call it before other threads start, which inherit the mask."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)


async def until_signalled() -> bool:
    """Wait for a signal; return whether this process sent it to itself, which the SDK's library does in a panic."""
    signalled: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()

    def wait() -> None:
        sender = signal.sigwaitinfo(ENDING).si_pid
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(signalled.set_result, sender)
        if sender == os.getpid():
            log.critical("daemon.native_panic", hint="the SDK's library has ended this process; it is started again")
        time.sleep(_END_S)  # if the process has not ended by then, it hangs
        log.critical("daemon.end_hangs")
        os._exit(ExitCode.INTERNAL)

    threading.Thread(target=wait, name="signals", daemon=True).start()
    return await signalled == os.getpid()
