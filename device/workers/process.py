"""Fresh interpreters as child processes, and their end in a bounded time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

# libcamera colours its lines even into a pipe.
_CALM_LIBRARIES = {"LIBCAMERA_LOG_NO_COLOR": "1"}
_KILL_S = 0.6


async def fresh_interpreter(module: str, *arguments: str, **streams: Any) -> asyncio.subprocess.Process:
    """Start `python -m module` in a session of its own, with nothing of ours that is not meant for it.

    Never a fork: the SDK has threads; and Ctrl-C at a terminal is meant for the daemon alone. Cancelled meanwhile, it
    leaves nothing running.
    """
    spawning = asyncio.create_task(
        asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # nothing is imported from wherever the daemon was started
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
        await to_the_end(_unspawned(spawning))
        raise


async def killed(process: asyncio.subprocess.Process) -> int | None:
    """Kill a process that may still run; return its exit code, or None where it survives even that."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)  # asyncio's own would reap it, unseen by the loop
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_KILL_S):
            return await process.wait()
    return None


async def _unspawned(spawning: asyncio.Task[asyncio.subprocess.Process]) -> None:
    with contextlib.suppress(OSError):
        await killed(await spawning)


def _environment() -> dict[str, str]:
    """Return what drivers may see of ours: no credentials, and nothing that speaks for the daemon."""
    ours = ("DEVICE_", "NOTIFY_SOCKET", "WATCHDOG_", "CREDENTIALS_DIRECTORY")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | _CALM_LIBRARIES


async def to_the_end(ending: Coroutine[Any, Any, object]) -> None:
    """Wait for something bounded, however often cancelled meanwhile: a worker half ended would keep its device."""
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
