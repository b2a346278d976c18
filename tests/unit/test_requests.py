"""Requests to a worker that wait for their reply."""

from __future__ import annotations

from device.ipc.registry import Request
from device.ipc.requests import PendingRequests

REPLY_WITHIN_S = Request.reply_within_s


def test_a_reply_in_time_is_matched_with_its_request() -> None:
    pending = PendingRequests()
    pending.ready(0.0)
    first, second = (
        pending.add("SetBitrate", 1.0, within_s=REPLY_WITHIN_S),
        pending.add("ForceKeyFrame", 1.0, within_s=REPLY_WITHIN_S),
    )
    assert pending.answered(second) == "ForceKeyFrame"
    assert pending.answered(second) == ""
    assert pending.overdue(1.0 + REPLY_WITHIN_S + 0.1) == {first: "SetBitrate"}
    assert pending.overdue(100.0) == {}


def test_no_time_runs_while_the_worker_starts() -> None:
    pending = PendingRequests()
    request = pending.add("SetKeyFramesOnly", 0.0, within_s=REPLY_WITHIN_S)
    assert pending.overdue(30.0) == {}
    pending.ready(30.0)
    assert pending.overdue(30.0 + REPLY_WITHIN_S) == {}
    assert pending.overdue(30.1 + REPLY_WITHIN_S) == {request: "SetKeyFramesOnly"}


def test_the_requests_of_a_worker_that_ended_are_forgotten_by_name() -> None:
    pending = PendingRequests()
    pending.ready(0.0)
    old = pending.add("SetBitrate", 0.0, within_s=REPLY_WITHIN_S)
    assert pending.clear() == ["SetBitrate"]
    assert pending.add("SetBitrate", 1.0, within_s=REPLY_WITHIN_S) != old
    assert pending.overdue(100.0) == {}


def test_ids_are_never_zero() -> None:
    pending = PendingRequests()
    pending._next_id = 0xFFFFFFFF
    assert pending.add("SetBitrate", 0.0, within_s=REPLY_WITHIN_S) == 1
