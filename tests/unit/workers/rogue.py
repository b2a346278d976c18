"""A worker of the tests: says who it is, then does what its settings' `mode` says. Most of it is wrong.

With `first` it sends a block that holds its process id, so that the supervisor has heard of it.
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
from pathlib import Path

from device.errors import SourceAbsentError, SourceError
from device.media.picture import AccessUnit
from device.workers.link import Link, serve
from device.workers.wire import Flag, Kind, Message, json_message

LEAKY = "rtsp://admin:hunter2 @192.0.2.7/stream1?token=zq-token"
POISON_US = 777  # a capture time that the watcher's own code fails on


def capture(link: Link) -> None:  # noqa: C901, PLR0912, PLR0915
    mode = link.settings["mode"]
    identity = struct.pack("<I", os.getpid())
    if link.settings.get("first", True):
        link.block(identity, captured_at_us=1)
    connection = link._socket
    unit = Message(kind=Kind.UNIT, payload=b"\0\0\0\1" + bytes(5000), flags=Flag.KEY, width=64, height=48).encoded()
    match mode:
        case "live":
            while True:
                for command in link.commands():
                    link.reply(command, "" if command["name"] == "fine" else "cannot")
                link.block(identity, captured_at_us=2)
                time.sleep(0.02)
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
            connection.sendall(json_message(Kind.COMMAND, {}).encoded())
        case "huge":
            connection.sendall(unit[:22] + b"\xff" * 10)
        case "odd-log":
            link.send(json_message(Kind.LOG, {"level": "shout", "event": "x", "worker": "y", "exc_info": True}))
            link.send(json_message(Kind.LOG, {"level": ["info"], "event": None, "self": 1, "positional_args": 5}))
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
            # What no worker of ours sends, though each is a message.
            for kind, value in (
                (Kind.REPLY, {"id": [1], "error": {"x": 1}}),
                (Kind.HELLO, {"fps": 10**400, "event": "x", "self": 1, "level": [], "_record": 1}),
                (Kind.LOG, {"level": {}, "event": ["a\nb"], "positional_args": 5, "exc_info": True, "stack_info": 1}),
                (Kind.NOTICE, {"text": {"a": 1}}),
                (Kind.NOTICE, {"text": f"{LEAKY} \x1b[31m\u202e"}),
                (Kind.LOG, {"level": "info", "event": "leaky", "why": LEAKY}),
            ):
                link.send(json_message(kind, value))
            link.block(identity, captured_at_us=2)
            link.send(
                json_message(
                    Kind.FAILED, {"error": ["x"], "message": f"{LEAKY}: {'x' * 5000}", "for_viewers": f"at {LEAKY}"}
                )
            )
        case "leaky":
            raise SourceError(f"{LEAKY}: cannot be opened")
        case "leaky-library":
            raise OSError(19, LEAKY)
        case "leaky-stderr":
            print(LEAKY, file=sys.stderr)
            sys.exit(3)
        case "slow-hello":
            time.sleep(link.settings["wait_s"])
            link.hello(fps=30)
            while True:
                link.block(identity, captured_at_us=2)
                time.sleep(0.02)
        case "list-hello":
            link.send(Message(kind=Kind.HELLO, payload=b"[1, 2]"))
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
        case "noticing":
            for text in ("nothing but zeros for 10 s", "", "x" * 1000):
                link.notice(text)
                link.block(identity, captured_at_us=2)
        case "noticing-first":
            link.notice("nothing but zeros")
            link.block(identity, captured_at_us=2)
        case "thread":
            threading.Thread(target=struct.unpack, args=("<I", b""), name="Thread-1").start()
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stopped":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "deaf":
            # Neither end-of-file on its socket nor SIGTERM ends this one: the threads that would see it do not run.
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            sys.setswitchinterval(1e6)
            while True:
                pass
    threading.Event().wait()


if __name__ == "__main__":
    sys.exit(serve(capture))
