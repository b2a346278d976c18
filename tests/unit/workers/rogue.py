"""A faulty worker for tests: starts normally, then does what the `source` of its job says, mostly something wrong.

It first sends a block with its process id, so that the supervisor receives something; not with the path "silent".
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import struct
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

from device.errors import NotPresentError, SourceAbsentError, SourceError
from device.ipc.framing import HEADER_BYTES, encode
from device.ipc.messages import Capturing, Degraded, Done, Failed, LogRecord, SetPace, SpeakerJob
from device.ipc.worker_link import WorkerLink, serve
from device.media.picture import AccessUnit

SILENT = "silent"
WRONG_PPM = 13.0  # a pace that the rogue refuses
LEAKY = "rtsp://admin:hunter2 @192.0.2.7/stream1?token=zq-token"
_SLOW_S = 1.0
POISON_US = 777  # a capture time at which the watcher's own code fails


def capture(link: WorkerLink) -> None:  # noqa: C901, PLR0912, PLR0915
    mode = link.job.source
    identity = struct.pack("<I", os.getpid())
    assert not isinstance(link.job, SpeakerJob)
    if link.job.path != SILENT:
        link.block(identity, captured_at_us=1)
    connection = link._socket
    unit = encode(
        AccessUnit(payload=b"\0\0\0\1" + bytes(5000), key=True, width=64, height=48, number=0, captured_at_us=0)
    )
    match mode:
        case "live":
            while True:
                for request in link.requests():
                    link.reply(request, "cannot" if request.message == SetPace(ppm=WRONG_PPM) else "")
                link.block(identity, captured_at_us=2)
                time.sleep(0.02)
        case "replacing-encoder":
            hardware = Capturing(source="pattern", encoder="v4l2", width=64, height=48, fps=30)
            link.capturing(hardware)
            link.block(identity, captured_at_us=2)
            link.capturing(replace(hardware, encoder="x264"))
            time.sleep(1)  # more than twice the watcher's stall
            link.block(identity, captured_at_us=3)
            time.sleep(0.2)
        case "flood":
            flood = AccessUnit(
                payload=b"\0\0\0\1" + bytes(50_000), key=True, width=64, height=48, number=1, captured_at_us=1
            )
            while True:
                link.unit(flood)
        case "nonsense":
            connection.sendall(b"this is no message, and it is longer than a header")
        case "half":
            connection.sendall(unit[:100])
        case "half-then-exit":
            connection.sendall(unit[:100])
            return
        case "unexpected":
            connection.sendall(encode(SetPace(ppm=0.0)))
        case "huge":
            connection.sendall(unit[: HEADER_BYTES - 4] + b"\xff" * 10)
        case "odd-log":
            link.send(LogRecord(level="shout", event="x", fields={"worker": "y", "exc_info": True, "event": "z"}))
            link.send(LogRecord(level="info", event="", fields={"self": 1, "positional_args": 5}))
        case "odd-media":
            link.block(identity, captured_at_us=-5)
        case "poison":
            link.block(identity, captured_at_us=POISON_US)
            while True:
                link.block(identity, captured_at_us=2)
                time.sleep(0.02)
        case "nothing-but-poison":
            while True:
                link.block(identity, captured_at_us=POISON_US)
        case "poison-now-and-then":
            while True:
                for captured_at_us in (POISON_US, 2):
                    link.block(identity, captured_at_us=captured_at_us)
                    time.sleep(0.001)
        case "foreign":
            # Messages that no worker of ours sends, although each is valid.
            for message in (
                Done(error="no such request"),
                Capturing(source="x", fps=10**400),
                LogRecord(
                    level="shout", event="a\nb", fields={"self": 1, "positional_args": 5, "event": "x", "_record": 1}
                ),
                Degraded(text=""),
                Degraded(text=f"{LEAKY} \x1b[31m\u202e"),
                LogRecord(level="info", event="leaky", fields={"why": LEAKY}),
            ):
                link.send(message, request_id=77)
            link.block(identity, captured_at_us=2)
            link.send(Failed(error="x" * 5000, message=f"{LEAKY}: {'x' * 5000}", for_viewers=f"at {LEAKY}"))
        case "leaky":
            raise SourceError(f"{LEAKY}: cannot be opened")
        case "leaky-library":
            raise OSError(19, LEAKY)
        case "leaky-stderr":
            print(LEAKY, file=sys.stderr)
            sys.exit(3)
        case "slow-hello":
            time.sleep(_SLOW_S)
            link.capturing(Capturing(source="slow", fps=30))
            while True:
                link.block(identity, captured_at_us=2)
                time.sleep(0.02)
        case "list-hello":
            data = encode(Capturing(source="x"))
            connection.sendall(data[: HEADER_BYTES - 4] + struct.pack("<I", 6) + b"[1, 2]")
        case "exit":
            print("the lens fell off", file=sys.stderr)
            sys.exit(3)
        case "failed":
            raise RuntimeError("no camera is plugged in")
        case "hungry":
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + (16 << 20), resource.RLIM_INFINITY))
            hoard = []
            for size in (1 << 20, 1 << 12, 1 << 6):
                with contextlib.suppress(MemoryError):
                    while True:
                        hoard.append(bytes(size))
            hoard.append(bytes(1 << 20))
        case "absent":
            raise SourceAbsentError("no camera is plugged in")
        case "not-present":
            raise NotPresentError("libcamera finds no camera")
        case "not-present-then-live":
            if not Path(link.job.device).exists():
                raise NotPresentError("libcamera finds no camera")
            link.capturing(Capturing(source="rogue", fps=30))
            while Path(link.job.device).exists():
                link.block(identity, captured_at_us=2)
                time.sleep(0.02)
            raise NotPresentError("libcamera finds no camera")
        case "noticing":
            for text in ("nothing but zeros for 10 s", "", "x" * 1000):
                link.degraded(text)
                link.block(identity, captured_at_us=2)
        case "noticing-first":
            link.degraded("nothing but zeros")
            link.block(identity, captured_at_us=2)
        case "thread":
            threading.Thread(target=struct.unpack, args=("<I", b""), name="Thread-1").start()
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stopped":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "deaf":
            # Neither end-of-file on its socket nor SIGTERM ends this one: the threads that would handle them do not run
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            sys.setswitchinterval(1e6)
            while True:
                pass
    threading.Event().wait()


if __name__ == "__main__":
    sys.exit(serve(capture))
