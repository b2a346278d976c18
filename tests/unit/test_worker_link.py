"""The worker's end of the socket."""

from __future__ import annotations

import socket
import time

from device.ipc.framing import Received, encode
from device.ipc.messages import ForceKeyFrame, MicrophoneJob, SetGain
from device.ipc.worker_link import WorkerLink

JOB = MicrophoneJob(source="tone", device="", path="", channels=1, gain_db=0.0, epoch_us=0)


def requests_of(link: WorkerLink, count: int) -> list[Received]:
    found: list[Received] = []
    give_up_at = time.monotonic() + 5
    while len(found) < count and time.monotonic() < give_up_at:
        found += link.requests()
        time.sleep(0.001)
    return found


def test_requests_that_arrive_with_the_job_are_received() -> None:
    daemon, worker = socket.socketpair()
    half = encode(ForceKeyFrame(), request_id=3)
    daemon.sendall(encode(JOB) + encode(SetGain(gain_db=3.0), request_id=2) + half[:5])
    link = WorkerLink(worker)
    assert link.job == JOB
    assert requests_of(link, 1) == [Received(SetGain(gain_db=3.0), 2)]
    daemon.sendall(half[5:])
    assert requests_of(link, 1) == [Received(ForceKeyFrame(), 3)]
    daemon.detach()  # closing it would end this process, as it ends a worker
