"""Sends requests to one worker and waits for their replies."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from device.errors import RequestRefusedError, WireError, WorkerRequestError
from device.ipc.media_messages import MAX_SNAPSHOT_BYTES
from device.ipc.requests import PendingRequests
from device.redaction import redacted

if TYPE_CHECKING:
    from device.ipc.media_messages import SnapshotPiece
    from device.ipc.messages import Done
    from device.ipc.registry import ReplyT, Request
    from device.ipc.worker_process import WorkerProcess

log = structlog.get_logger()

_MAX_ERROR = 2000


class Requester:
    """The requests to one worker, across its restarts. `_worker` is the running process; None while none runs."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._worker: WorkerProcess | None = None
        self._pending = PendingRequests()
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._pieces: dict[int, bytearray] = {}

    def begin(self, worker: WorkerProcess) -> None:
        """Send requests to this worker from now on."""
        self.end()
        self._worker = worker

    def end(self) -> None:
        """Fail all pending requests, because their worker has ended."""
        self._worker = None
        self._pending.clear()
        for request_id in tuple(self._replies):
            self._fail(request_id, WorkerRequestError(f"the {self._name} worker has ended"))

    def post(self, request: Request[Any]) -> int:
        """Send a request without waiting for its reply, and return its id. A missing reply is logged.

        If there is no worker, or if it does not read its socket, drop the request and return 0.
        """
        name = type(request).__name__
        request_id = self._pending.add(name, time.monotonic(), within_s=request.reply_within_s)
        if self._worker is None or not self._worker.send(request, request_id=request_id):
            self._pending.answered(request_id)
            log.debug("worker.request_dropped", worker=self._name, request=name)
            return 0
        return request_id

    def tell(self, message: object) -> bool:
        """Send a message that has no reply; return False if it is dropped, because no worker takes it."""
        return self._worker is not None and self._worker.send(message)

    async def request(self, request: Request[ReplyT]) -> ReplyT:
        """Send a request and return its reply.

        Raises WorkerRequestError if there is none, and RequestRefusedError if the worker refuses.
        """
        if not (request_id := self.post(request)):
            raise WorkerRequestError(f"the {self._name} worker cannot take a request now ({type(request).__name__})")
        reply: asyncio.Future[ReplyT] = asyncio.get_running_loop().create_future()
        self._replies[request_id] = reply
        try:
            return await reply
        finally:
            self._replies.pop(request_id, None)
            self._pieces.pop(request_id, None)

    def ready(self, now: float) -> None:
        """Start the reply timeout of the requests that were sent while the worker started."""
        self._pending.ready(now)

    def replied(self, request_id: int, reply: Done) -> None:
        """Handle a reply of the worker."""
        name = self._pending.answered(request_id)
        if reply.error:
            error = redacted(reply.error)[:_MAX_ERROR]
            log.warning("worker.request_failed", worker=self._name, request=name, error=error)
            self._fail(request_id, RequestRefusedError(error))
        elif (future := self._replies.get(request_id)) is not None and not future.done():
            future.set_result(reply)

    def piece(self, request_id: int, piece: SnapshotPiece) -> None:
        """Take a piece of a reply; the last one completes it. Raises WireError if it becomes too large."""
        if (future := self._replies.get(request_id)) is None or future.done():
            return  # nobody waits for it any more
        pieces = self._pieces.setdefault(request_id, bytearray())
        pieces += piece.data
        if len(pieces) > MAX_SNAPSHOT_BYTES:
            raise WireError(f"a snapshot has more than {MAX_SNAPSHOT_BYTES} bytes")
        if piece.last:
            self._pending.answered(request_id)
            future.set_result(replace(piece, data=bytes(pieces)))

    def give_up_overdue(self, now: float) -> None:
        """Log the requests that were not answered in time, and fail those whose reply is awaited."""
        for request_id, name in self._pending.overdue(now).items():
            log.warning("worker.request_unanswered", worker=self._name, request=name)
            self._fail(request_id, WorkerRequestError(f"the {self._name} worker has not answered {name}"))

    def _fail(self, request_id: int, error: WorkerRequestError) -> None:
        reply = self._replies.get(request_id)
        if reply is not None and not reply.done():
            reply.set_exception(error)
