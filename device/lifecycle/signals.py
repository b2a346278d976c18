"""Waits for signals that end this process, and checks their sender: the SDK's library sends SIGTERM to itself.

SIGHUP ends it as well, or requests a reload under a service manager.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import structlog

from device.errors import ExitCode, NativePanicError

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger()

_END_S = 4.0  # less than the unit's TimeoutStopSec of 5 s
ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


def block() -> None:
    """Block these signals for `until_signalled`. Call it before other threads start, which inherit the mask."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)


async def until_ended(on_reload: Callable[[], None] | None, restart: asyncio.Event) -> ExitCode:
    """Wait for a signal or for `restart`; return the exit code. Raises NativePanicError if the SDK sent the signal.

    Without a service manager, and so without `on_reload`, SIGHUP ends the process, as of a closed terminal.
    """
    signalled = asyncio.create_task(until_signalled(on_reload), name="signals")
    restarts = asyncio.create_task(restart.wait(), name="restart")
    try:
        await asyncio.wait({signalled, restarts}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        signalled.cancel()
        restarts.cancel()
    if not signalled.done():
        return ExitCode.TEMPORARY
    if signalled.result():
        # The library's state cannot be trusted, so it is not asked to leave the room.
        raise NativePanicError("the SDK's native library has ended this process (SIGTERM by itself)")
    return ExitCode.OK


async def until_signalled(on_reload: Callable[[], None] | None = None) -> bool:
    """Wait for a signal that ends this process; return whether it is from itself, as in a panic of the SDK's library.

    With `on_reload`, SIGHUP does not end it; the function is called in the event loop instead.
    """
    signalled: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()

    def wait() -> None:
        received = signal.sigwaitinfo(ENDING)
        while received.si_signo == signal.SIGHUP and on_reload is not None:
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(on_reload)
            received = signal.sigwaitinfo(ENDING)
        sender = received.si_pid
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(signalled.set_result, sender)
        if sender == os.getpid():
            log.critical("daemon.native_panic", hint="the SDK's library has ended this process; it is started again")
        time.sleep(_END_S)  # if the process has not ended by then, it hangs
        log.critical("daemon.end_hangs")
        os._exit(ExitCode.INTERNAL)

    threading.Thread(target=wait, name="signals", daemon=True).start()
    return await signalled == os.getpid()
