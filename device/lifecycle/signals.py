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

from device.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger()

_END_S = 4.0  # less than the unit's TimeoutStopSec of 5 s
ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
_STOP = signal.SIGRTMIN  # wakes the waiting thread


def block() -> None:
    """Block these signals for `EndingSignals`. Call it before other threads start, which inherit the mask."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {*ENDING, _STOP})


class EndingSignals:
    """Waits in a thread. With `on_reload`, SIGHUP does not end this process: the function is called in the loop."""

    def __init__(self, on_reload: Callable[[], None] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._received: asyncio.Future[int] = self._loop.create_future()
        self._on_reload = on_reload
        self._sender: int | None = None
        self._stopped, self._decided = False, threading.Event()
        self._thread = threading.Thread(target=self._wait, name="signals", daemon=True)
        self._thread.start()

    async def received(self) -> bool:
        """Wait for a signal that ends this process; return whether it is from itself, as in a panic of the SDK."""
        return await asyncio.shield(self._received) == os.getpid()

    def stop(self) -> int | None:
        """Stop waiting; a signal that comes later stays pending. Return the sender of one that has come before."""
        self._stopped = True
        if not self._decided.is_set():
            assert self._thread.ident is not None
            signal.pthread_kill(self._thread.ident, _STOP)
            self._decided.wait()
        return self._sender

    def _wait(self) -> None:
        ending = self._next()
        if ending is not None:
            self._sender = ending.si_pid
        self._decided.set()
        if ending is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self._received.set_result, ending.si_pid)
        if ending.si_pid == os.getpid():
            log.critical("daemon.native_panic", hint="the SDK's library has ended this process; it is started again")
        time.sleep(_END_S)  # if the process has not ended by then, it hangs
        log.critical("daemon.end_hangs")
        os._exit(ExitCode.INTERNAL)

    def _next(self) -> signal.struct_siginfo | None:
        """Wait for a signal that ends this process; None if `stop` comes before."""
        while True:
            received = signal.sigwaitinfo({*ENDING, _STOP})
            if received.si_signo == signal.SIGHUP and self._on_reload is not None:
                with contextlib.suppress(RuntimeError):  # the loop has been closed
                    self._loop.call_soon_threadsafe(self._on_reload)
            elif received.si_signo != _STOP:
                return received
            elif self._stopped:
                return None


async def until_signalled(on_reload: Callable[[], None] | None = None) -> bool:
    """Wait as `EndingSignals` does; return whether the signal is from this process itself."""
    return await EndingSignals(on_reload).received()
