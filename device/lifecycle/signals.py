"""Signals that end this process, with who sent them: the SDK's native library ends its own process by SIGTERM."""

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

_END_S = 4.0  # the unit gives 5, then kills
ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


def block() -> None:
    """Keep these signals for `until_told`; to be called before there are other threads, which inherit it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)


async def until_signalled() -> bool:
    """Wait for a signal; return whether this process sent it to itself, which is a panic of the library."""
    told: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()

    def wait() -> None:
        sender = signal.sigwaitinfo(ENDING).si_pid
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(told.set_result, sender)
        if sender == os.getpid():
            log.critical("daemon.native_panic", hint="the SDK's library has ended this process; it is started again")
        time.sleep(_END_S)  # the end is orderly, or a matter of this thread
        log.critical("daemon.end_hangs")
        os._exit(ExitCode.INTERNAL)

    threading.Thread(target=wait, name="signals", daemon=True).start()
    return await told == os.getpid()
