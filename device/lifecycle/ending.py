"""What ends the daemon: a signal, a request for a new process, or for another execution of this one."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from device.errors import DeviceError, ExitCode, NativePanicError
from device.lifecycle.execute_again import Handover

if TYPE_CHECKING:
    from device.lifecycle.signals import EndingSignals


async def until_ended(signals: EndingSignals, *, new_process: asyncio.Event, again: asyncio.Event) -> ExitCode | None:
    """Wait for the first; return the exit code, or None for another execution.

    Raises NativePanicError if the SDK sent the signal.
    """
    signalled = asyncio.create_task(signals.received(), name="signals")
    others = [asyncio.create_task(each.wait(), name="end") for each in (new_process, again)]
    try:
        await asyncio.wait({signalled, *others}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in (signalled, *others):
            each.cancel()
    if not signalled.done():
        return ExitCode.TEMPORARY if new_process.is_set() else None
    if signalled.result():
        # The library's state cannot be trusted, so it is not asked to leave the room.
        raise NativePanicError("the SDK's native library has ended this process (SIGTERM by itself)")
    return ExitCode.OK


def next_execution(
    signals: EndingSignals, *, times: int, muted: tuple[str, ...], temporary: dict[str, Any]
) -> Handover | ExitCode:
    """Stop waiting for signals; return the exit code if one has come while the process got ready to execute again."""
    sender = signals.stop()
    if sender is None:
        return Handover(times=times, muted=muted, temporary=temporary)
    return ExitCode.INTERNAL if sender == os.getpid() else ExitCode.OK


def exit_code_of(error: BaseException) -> ExitCode:
    """Return the exit code of the first error of ours, which may be in a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error.exit_code if isinstance(error, DeviceError) else ExitCode.INTERNAL
