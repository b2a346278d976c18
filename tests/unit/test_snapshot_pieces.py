"""A picture in pieces: joined, bounded, and ignored if nobody waits for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from device.errors import RequestRefusedError, WireError, WorkerRequestError
from device.ipc.media_messages import MAX_SNAPSHOT_BYTES, SNAPSHOT_PIECE_BYTES, SnapshotPiece
from device.ipc.messages import Done, TakeSnapshot
from device.ipc.requester import Requester

WANTED = TakeSnapshot(max_width=0, quality=85, full=False)


class Worker:
    """Takes requests."""

    def __init__(self) -> None:
        self.sent: list[int] = []

    def send(self, _request: object, *, request_id: int) -> bool:
        self.sent.append(request_id)
        return True


def piece(data: bytes, *, last: bool) -> SnapshotPiece:
    return SnapshotPiece(data=data, last=last, width=640, height=360, full=False, captured_at_us=7)


def asked(act: Any) -> Any:
    """Ask for a snapshot; `act` gets the requester and the request's id; return the reply."""

    async def main() -> Any:
        requester, worker = Requester("camera"), Worker()
        requester.begin(worker)  # type: ignore[arg-type]
        asking = asyncio.create_task(requester.request(WANTED))
        await asyncio.sleep(0)
        try:
            act(requester, worker.sent[-1])
            return await asking
        finally:
            asking.cancel()
            await asyncio.wait({asking})
            assert (requester._pieces, requester._replies) == ({}, {})

    return asyncio.run(main())


def test_the_last_piece_completes_the_picture() -> None:
    def act(requester: Requester, number: int) -> None:
        requester.piece(number, piece(b"\xff\xd8one", last=False))
        requester.piece(number + 1, piece(b"another's", last=True))
        requester.piece(number, piece(b"two", last=True))
        requester.piece(number, piece(b"late", last=True))

    assert asked(act) == piece(b"\xff\xd8onetwo", last=True)


def test_a_picture_without_an_end_is_refused() -> None:
    def act(requester: Requester, number: int) -> None:
        for _ in range(MAX_SNAPSHOT_BYTES // SNAPSHOT_PIECE_BYTES + 1):
            requester.piece(number, piece(bytes(SNAPSHOT_PIECE_BYTES), last=False))

    with pytest.raises(WireError, match="a snapshot has more than 8388608 bytes"):
        asked(act)


def test_a_refusal_and_the_end_of_the_worker_end_the_wait() -> None:
    with pytest.raises(RequestRefusedError, match="another snapshot"):
        asked(lambda requester, number: requester.replied(number, Done(error="another snapshot is being taken")))

    def act(requester: Requester, number: int) -> None:
        requester.piece(number, piece(b"\xff\xd8", last=False))
        requester.end()

    with pytest.raises(WorkerRequestError, match="the camera worker has ended"):
        asked(act)
