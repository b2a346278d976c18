"""Runs one worker process: starts it, exchanges messages over a socketpair, ends it within a bounded time."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from device.errors import InternalError, WireError
from device.ipc.framing import Decoder, Received, encode
from device.ipc.messages import Failed, Job
from device.ipc.process import finish_despite_cancellation, fresh_interpreter, killed
from device.ipc.registry import Direction
from device.ipc.worker_link import SEND_BUFFER_BYTES
from device.redaction import public_text, redacted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

log = structlog.get_logger()

_CLOSE_S = 0.4  # a worker exits within milliseconds of end-of-file on its socket, unless its device hangs
_UNKILLABLE = "it hangs in the kernel: needs a reboot (docs/troubleshooting.md)"
_MAX_STDERR_LINE = 1 << 10
_MAX_LAST_WORDS, _MAX_NAME = 2000, 64
_MAX_UNSENT_BYTES = 64 << 10
_MAX_UNHANDLED = 100  # in a row: 3 s of pictures


class WorkerProcess(asyncio.Protocol):
    """A running worker. `on_message` is called in the event loop for each message, and must not block."""

    def __init__(self, *, name: str, on_message: Callable[[Received], None]) -> None:
        self.name = name
        self.gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.last_words = ""
        self.for_viewers = ""  # why it ended, as a public text
        self.failure = ""  # the type of the error that ended it, if the worker reported one
        self.unkillable = False
        self._on_message = on_message
        self._unhandled = self._unhandled_in_a_row = 0
        self._decoder = Decoder(Direction.TO_DAEMON)
        self._transport: asyncio.Transport | None = None

    def send(self, message: object, *, request_id: int = 0) -> bool:
        """Send one message; return False if it was dropped because the worker has ended or does not read."""
        if self._transport is None or self._transport.is_closing():
            return False
        if self._transport.get_write_buffer_size() > _MAX_UNSENT_BYTES:
            return False
        self._transport.write(encode(message, request_id=request_id))
        return True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            for received in self._decoder.feed(data):
                if self.gone.done():
                    return
                if isinstance(received.message, Failed):
                    self._failed(received.message)
                else:
                    self._handle(received)
                if self.gone.done():
                    return
        except WireError as error:
            self.lost(f"it sent an invalid message: {error}", for_viewers=error.for_viewers)

    def _failed(self, failed: Failed) -> None:
        self.failure = failed.error[:_MAX_NAME]
        self.lost(
            redacted(failed.message)[:_MAX_LAST_WORDS],
            for_viewers=public_text(failed.for_viewers) or "the worker failed",
        )

    def _handle(self, received: Received) -> None:
        """Handle a message. An error in the handler is the daemon's own: the message is dropped."""
        try:
            self._on_message(received)
        except WireError:
            raise
        except Exception:
            self._unhandled += 1
            self._unhandled_in_a_row += 1
            if self._unhandled & (self._unhandled - 1) == 0:  # the first, and each doubling
                kind = type(received.message).__name__
                log.exception("daemon.message_unhandled", worker=self.name, kind=kind, times=self._unhandled)
            if self._unhandled_in_a_row >= _MAX_UNHANDLED:
                self._give_up(InternalError(f"no message of the {self.name} worker could be handled any more"))
        else:
            self._unhandled_in_a_row = 0

    def _give_up(self, error: InternalError) -> None:
        """Raise an error in the supervisor, which ends the daemon: it can no longer handle messages."""
        if not self.gone.done():
            self.gone.set_exception(error)
        self.hang_up()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.lost("")

    def lost(self, why: str, *, for_viewers: str = "") -> None:
        """Record that this worker is lost, and why; the first reason counts. Empty: the exit status is the reason."""
        if not self.gone.done():
            self.for_viewers = for_viewers or why
            self.gone.set_result(why)
        self.hang_up()

    def hang_up(self) -> None:
        """Close the socket, which makes the worker exit; no further messages are received."""
        if self._transport is not None:
            self._transport.abort()


class SpawnedWorker:
    """A worker process that has its job and starts to capture; nothing is read from it before `running`."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, connection: socket.socket) -> None:
        self.name = name
        self.process = process
        self.connection = connection
        self.stderr = asyncio.create_task(_relay_stderr(process, name), name=f"{name}-stderr")
        log.debug("worker.spawned", worker=name, pid=process.pid)

    async def aclose(self) -> None:
        """End the process within a second, if it still runs."""
        self.connection.close()
        if self.process.returncode is None:
            await finish_despite_cancellation(_exit_code(self.process))
        self.stderr.cancel()


async def spawn(*, name: str, module: str, job: Job) -> SpawnedWorker:
    """Start `python -m module` as a worker, and send it its job. Raises OSError."""
    ours, theirs = socket.socketpair()
    with theirs, contextlib.ExitStack() as on_failure:
        on_failure.enter_context(ours)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SEND_BUFFER_BYTES)
        process = await fresh_interpreter(
            module,
            str(theirs.fileno()),
            pass_fds=(theirs.fileno(),),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        on_failure.pop_all()
    spawned = SpawnedWorker(name, process, ours)  # from here on the process is ours to end
    try:
        ours.setblocking(False)  # noqa: FBT003
        with contextlib.suppress(BrokenPipeError):  # it has ended already; its exit code says why
            ours.sendall(encode(job))  # it fits the buffer of a new socket
    except BaseException:
        await spawned.aclose()
        raise
    return spawned


@asynccontextmanager
async def running(spawned: SpawnedWorker, *, on_message: Callable[[Received], None]) -> AsyncIterator[WorkerProcess]:
    """Read from a worker; on leaving, ask it to end, then kill it: 1 s in all."""
    child = WorkerProcess(name=spawned.name, on_message=on_message)
    try:
        await asyncio.get_running_loop().create_connection(lambda: child, sock=spawned.connection)
        yield child
    finally:
        gone = child.gone.done()
        child.hang_up()
        spawned.connection.close()
        await finish_despite_cancellation(_ended(spawned.process, child, spawned.stderr, gone=gone))


async def _ended(
    process: asyncio.subprocess.Process, child: WorkerProcess, stderr: asyncio.Task[str], *, gone: bool
) -> None:
    code = await _exit_code(process)
    if code is None:
        child.unkillable, child.last_words, child.for_viewers = True, _UNKILLABLE, _UNKILLABLE
    elif gone and child.gone.exception() is None and not child.gone.result():
        crashed = code is not None and code > 0  # by Python itself, which says why on its last line
        child.for_viewers = _exit_text(code)
        child.last_words = (await _last_line(stderr) if crashed else "") or child.for_viewers
    stderr.cancel()
    log.debug("worker.ended", worker=child.name, pid=process.pid, exit=code)


async def _exit_code(process: asyncio.subprocess.Process) -> int | None:
    # The socket is closed already.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_S):
            return await process.wait()
    code = await killed(process)
    if code is None:
        log.error("worker.unkillable", pid=process.pid, hint=_UNKILLABLE)
    return code


async def _relay_stderr(process: asyncio.subprocess.Process, name: str) -> str:
    """Log what a worker and its libraries write to file descriptor 2, at debug level; return the last line."""
    assert process.stderr is not None
    last = ""
    while True:
        try:
            line = await process.stderr.readline()
        except ValueError:  # a line above the reader's limit; the reader has dropped it
            continue
        if not line:
            return last
        last = redacted(line.decode(errors="replace").rstrip())[:_MAX_STDERR_LINE] or last
        log.debug("worker.stderr", worker=name, line=last)


async def _last_line(stderr: asyncio.Task[str]) -> str:
    done, _ = await asyncio.wait({stderr}, timeout=0.1)
    return stderr.result() if done else ""


def _exit_text(code: int | None) -> str:
    if code is None:
        return _UNKILLABLE
    if code < 0:
        known = {each.value: each.name for each in signal.Signals}
        return f"it was killed by {known.get(-code, f'signal {-code}')}"
    return f"it exited with {code}"
