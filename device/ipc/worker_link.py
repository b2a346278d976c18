"""The worker's end of the socket: the capture thread sends and may block, another thread reads requests."""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import signal
import socket
import sys
import threading
import traceback
from typing import TYPE_CHECKING, NoReturn, Self

from device.errors import DeviceError, SourceError, ThreadFailedError, WireError
from device.ipc.framing import Decoder, Received, encode
from device.ipc.media_messages import PlaySound
from device.ipc.messages import Capturing, Degraded, Done, Failed, Job, LogRecord
from device.ipc.registry import Direction, Request
from device.media.block import Block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from device.media.picture import AccessUnit

# The default buffer holds a second of video. With a small one a slow daemon loses frames instead of adding latency.
SEND_BUFFER_BYTES = 32 << 10
_MAX_REQUESTS = 64
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_RESERVE_BYTES = 1 << 20


class WorkerLink:
    """The socket to the daemon. This process exits at once when the daemon closes it."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._sending = threading.Lock()
        self._fault = self._mode = ""
        # Returns whether a thread's owner reports its failure itself; other failures end the worker.
        self.thread_owner: Callable[[threading.Thread], bool] = lambda _thread: False
        self.on_sound: Callable[[PlaySound], None] = lambda _sound: None  # in the thread that reads
        self._reserve = bytes(_RESERVE_BYTES)  # address space only, because it is never written
        self._decoder = Decoder(Direction.TO_WORKER)
        self._requests: queue.Queue[Received] = queue.Queue(_MAX_REQUESTS)
        self._received = self._messages()  # one iterator: a request may be read together with the job
        self.job = self._receive_job()
        threading.Thread(target=self._read_requests, name="requests", daemon=True).start()

    @classmethod
    def of_file_descriptor(cls, descriptor: int) -> Self:
        connection = socket.socket(fileno=descriptor)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        return cls(connection)

    def unit(self, unit: AccessUnit) -> None:
        self.send(unit)

    def block(self, samples: bytes, *, captured_at_us: int) -> None:
        self.send(Block(samples=samples, captured_at_us=captured_at_us))

    def capturing(self, what: Capturing) -> None:
        """Report that the source is open."""
        self.send(what)

    def log(self, level: str, event: str, **fields: object) -> None:
        self.send(LogRecord(level=level, event=event, fields=fields))

    def degraded(self, text: str) -> None:
        """Report that a source delivers but is degraded; an empty text means that it has recovered."""
        self._fault = text
        self.send(Degraded(text="; ".join(filter(None, (self._fault, self._mode)))))

    def mode(self, text: str) -> None:
        """Report how a source works now, which is no fault; an empty text means as usual."""
        self._mode = text
        self.send(Degraded(text="; ".join(filter(None, (self._fault, self._mode))), fault=False))

    def reply(self, request: Received, error: str = "") -> None:
        self.send(Done(error=error), request_id=request.request_id)

    def failed(self, error: BaseException) -> NoReturn:
        """Report an error and exit at once: a library's thread or exit handler may hang and keep the device."""
        self._reserve = b""  # frees memory for the report if memory is exhausted
        try:
            message, for_viewers = _described(error)
            self.send(Failed(error=type(error).__name__, message=message, for_viewers=for_viewers))
        finally:
            os._exit(1)

    def send(self, message: object, *, request_id: int = 0) -> None:
        """Write one message to the socket; blocks while the daemon is slow."""
        data = encode(message, request_id=request_id)
        with self._sending:
            try:
                self._socket.sendall(data)
            except OSError:
                _exit_at_once()

    def requests(self) -> list[Received]:
        """Return the requests received since the last call, without blocking."""
        found: list[Received] = []
        if not self._requests.queue:  # as at almost every picture; without the cost of a lock and an exception
            return found
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._requests.get_nowait())
        return found

    def _receive_job(self) -> Job:
        job = next(self._received).message
        if not isinstance(job, Job):
            raise WireError("the first message must be a job")
        return job

    def _messages(self) -> Iterator[Received]:
        while True:
            try:
                data = self._socket.recv(64 << 10)
            except OSError:
                data = b""
            if not data:
                _exit_at_once()
            yield from self._decoder.feed(data)

    def _read_requests(self) -> None:
        try:
            for received in self._received:
                if isinstance(received.message, PlaySound):
                    self.on_sound(received.message)
                    continue
                if not isinstance(received.message, Request):
                    raise WireError("a second job is not allowed")  # noqa: TRY301
                self._requests.put(received)
        except BaseException as error:  # a thread's exception would not be reported otherwise  # noqa: BLE001
            self.failed(error)


def _described(error: BaseException) -> tuple[str, str]:
    """Return the texts of an error for operators and for viewers.

    The text of a library's exception is not used, because it may contain secrets. An unexpected error is written with
    its traceback to standard error, which the daemon logs at debug level.
    """
    if isinstance(error, MemoryError):
        return "memory is exhausted", "memory is exhausted"
    if isinstance(error, DeviceError):
        if error.__cause__ is not None:
            traceback.print_exception(error.__cause__, file=sys.stderr)
        return str(error) or error.for_viewers, error.for_viewers
    traceback.print_exception(error, file=sys.stderr)
    sys.stderr.flush()
    return f"{type(error).__name__} in the worker (its traceback is logged at debug level)", "an internal error"


def serve(capture: Callable[[WorkerLink], None]) -> int:
    """Run a worker's capture until the daemon closes the socket; report to the daemon whatever ends it before."""
    bind_to_daemon()
    link = WorkerLink.of_file_descriptor(int(sys.argv[1]))

    def on_thread_failure(failure: threading.ExceptHookArgs) -> None:
        # picamera2 and its encoders run threads, whose exceptions would not be reported otherwise.
        if failure.thread is not None and link.thread_owner(failure.thread):
            return
        name = failure.thread.name if failure.thread else "a thread"
        if failure.exc_value is not None:
            traceback.print_exception(failure.exc_value, file=sys.stderr)
            sys.stderr.flush()
        link.failed(ThreadFailedError(f"the thread {name} failed: {failure.exc_type.__name__}"))

    threading.excepthook = on_thread_failure
    try:
        capture(link)
    except Exception as error:  # report whatever ends this process  # noqa: BLE001
        link.failed(error)
    link.failed(SourceError("the source has ended"))


def bind_to_daemon() -> None:
    """Ignore the signals that are meant for the daemon, and end this process when the daemon ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _exit_at_once() -> None:
    # Not sys.exit(): a camera's stop() may hang, and in a thread sys.exit() does not end the process.
    sys.stderr.flush()
    os._exit(0)
