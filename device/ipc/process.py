"""Starts fresh Python interpreters as child processes, and ends them within a bounded time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

# libcamera writes colour codes even into a pipe.
_LIBRARY_ENVIRONMENT = {"LIBCAMERA_LOG_NO_COLOR": "1"}
_KILL_S = 0.6


async def fresh_interpreter(module: str, *arguments: str, **streams: Any) -> asyncio.subprocess.Process:
    """Start `python -m module` in a session of its own, with a clean environment.

    It is not a fork, because the SDK has threads. It has its own session, because Ctrl-C in a terminal is for the
    daemon only. If this is cancelled, no process is left running.
    """
    spawning = asyncio.create_task(
        asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # import nothing from the current directory
            "-m",
            module,
            *arguments,
            start_new_session=True,
            env=_environment(),
            **streams,
        )
    )
    try:
        return await asyncio.shield(spawning)
    except asyncio.CancelledError:
        await to_the_end(_kill_once_spawned(spawning))
        raise


async def killed(process: asyncio.subprocess.Process) -> int | None:
    """Kill a process that may still run. Return its exit code, or None if it does not end."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)  # Process.kill() may reap it before the loop does
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_KILL_S):
            return await process.wait()
    return None


async def _kill_once_spawned(spawning: asyncio.Task[asyncio.subprocess.Process]) -> None:
    with contextlib.suppress(OSError):
        await killed(await spawning)


def _environment() -> dict[str, str]:
    """Return our environment without credentials and without the variables of the service manager."""
    private = ("DEVICE_", "NOTIFY_SOCKET", "WATCHDOG_", "CREDENTIALS_DIRECTORY")
    return {name: value for name, value in os.environ.items() if not name.startswith(private)} | _LIBRARY_ENVIRONMENT


async def to_the_end(ending: Coroutine[Any, Any, object]) -> None:
    """Wait for a bounded coroutine, even if cancelled meanwhile: a worker that does not end would keep its device."""
    task = asyncio.create_task(ending)
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            cancelled = True
    task.result()
    if cancelled:
        raise asyncio.CancelledError
