"""Runs one program within bounds of time and output, without anything of this process that it could inherit."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from device.ipc.process import finish_despite_cancellation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_OUTPUT_BYTES: Final = 64 << 10
KILL_S: Final = 0.6
_LAUNCHER = Path(__file__).with_name("launch.py")
_ENVIRONMENT = MappingProxyType(
    {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
)
_CHUNK_BYTES, _CHUNKS_AT_THE_END = 64 << 10, 16
_DISCARD_EVERY_S = 0.02  # a program that writes all the time must not keep the event loop busy


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a program ended.

    exit_code: negative is the number of the signal that ended it
    timed_out: it was killed because its time was over
    output: the beginning of what it wrote to standard output and standard error
    discarded_bytes: how much more it wrote, as far as that was read
    """

    exit_code: int
    timed_out: bool
    took_s: float
    output: bytes = field(repr=False)
    discarded_bytes: int


async def run(words: Sequence[str], *, timeout_s: float, max_output_bytes: int = MAX_OUTPUT_BYTES) -> Finished:
    """Run a program, given by its absolute path, with arguments; there is no shell.

    It gets an empty standard input, the environment PATH and LANG, the folder /, and a session of its own. When it
    ends, or its time is over, or this is cancelled, all processes of its group are killed. A program that cannot be run
    ends with 126 or 127. Raises OSError if no process can be started.
    """
    started_at = time.monotonic()
    process = subprocess.Popen(  # noqa: ASYNC220, S603 - it blocks as long as asyncio's own would
        (sys.executable, "-I", "-S", str(_LAUNCHER), *words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=_ENVIRONMENT,
        cwd="/",
        start_new_session=True,
        bufsize=0,
    )
    assert process.stdout
    with process.stdout, _collecting(process.stdout.fileno(), max_output_bytes) as output, _end_of(process) as ended:
        timed_out = False
        try:
            timed_out = not (await asyncio.wait({ended}, timeout=timeout_s))[0]
        finally:
            # Before it is reaped: its number may then be that of another group.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await finish_despite_cancellation(_reaped(process, ended))
        output.take_rest()
    return Finished(
        exit_code=-signal.SIGKILL if process.returncode is None else process.returncode,
        timed_out=timed_out,
        took_s=round(time.monotonic() - started_at, 2),
        output=bytes(output.kept),
        discarded_bytes=output.discarded,
    )


async def _reaped(process: subprocess.Popen[bytes], ended: asyncio.Future[None]) -> None:
    """Wait for the end of a killed process. One that hangs in the kernel is left behind."""
    await asyncio.wait({ended}, timeout=KILL_S)
    process.poll()


@contextlib.contextmanager
def _end_of(process: subprocess.Popen[bytes]) -> Iterator[asyncio.Future[None]]:
    """Yield a future that is done when the process ends. It is not reaped yet then."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    descriptor = os.pidfd_open(process.pid)

    def at_end() -> None:
        loop.remove_reader(descriptor)
        ended.set_result(None)

    loop.add_reader(descriptor, at_end)
    try:
        yield ended
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


class _Output:
    """The output of a program: the beginning is kept, the rest is counted."""

    def __init__(self, descriptor: int, most: int) -> None:
        self.kept, self.discarded = bytearray(), 0
        self._descriptor, self._most = descriptor, most

    @property
    def is_full(self) -> bool:
        return self.discarded > 0

    def take(self) -> bool:
        """Take what is there. Return whether more may follow now."""
        try:
            chunk = os.read(self._descriptor, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        room = self._most - len(self.kept)
        self.kept += chunk[:room]
        self.discarded += len(chunk[room:])
        return bool(chunk)

    def take_rest(self) -> None:
        """Take what a program has left in the pipe; a process that it left behind may still write."""
        for _ in range(_CHUNKS_AT_THE_END):
            if not self.take():
                break


@contextlib.contextmanager
def _collecting(descriptor: int, most: int) -> Iterator[_Output]:
    """Read from a descriptor while the context lasts."""
    loop = asyncio.get_running_loop()
    output, later = _Output(descriptor, most), None
    os.set_blocking(descriptor, False)

    def on_readable() -> None:
        nonlocal later
        if not output.take():
            loop.remove_reader(descriptor)
        elif output.is_full:
            loop.remove_reader(descriptor)
            later = loop.call_later(_DISCARD_EVERY_S, loop.add_reader, descriptor, on_readable)

    loop.add_reader(descriptor, on_readable)
    try:
        yield output
    finally:
        if later is not None:
            later.cancel()
        loop.remove_reader(descriptor)
