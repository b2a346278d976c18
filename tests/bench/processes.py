"""The processes of one run: a publisher, and the bench's subscriber."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.children import end, living_descendants
from tests.support.livekit_server import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_END_S = 10.0


@contextmanager
def publisher(command: Sequence[str | Path], variables: Mapping[str, str], log: Path) -> Iterator[tuple[int, float]]:
    """Run a publisher; yield its process id and the monotonic time of its start."""
    with log.open("wb") as file:
        started_at = time.monotonic()
        process = subprocess.Popen(
            command, env=variables, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    try:
        yield process.pid, started_at
        _must_run(process)
    except Exception:
        print(log.read_text(errors="replace")[-2000:], file=sys.stderr)
        raise
    finally:
        children = living_descendants(process.pid)
        end(process, within_s=_END_S)
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)  # workers end with their parent; this covers a parent that is killed


@contextmanager
def busy_cores() -> Iterator[None]:
    """Keep all processors but one busy, with the same priority as everything else."""
    _, *others = sorted(os.sched_getaffinity(0))
    spinners = []
    for core in others:
        spinner = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"], stdin=subprocess.DEVNULL)
        spinners.append(spinner)
        os.sched_setaffinity(spinner.pid, {core})
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()


def _must_run(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        raise RuntimeError(f"the publisher has ended with {process.returncode}")


class Subscriber:
    """Sends commands to `tests.bench.subscriber`. A subscriber that does not answer in time is killed with an error."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def tell(self, **what: object) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def expect(self, event: str, *, within_s: float) -> dict[str, Any]:
        """Return the next message, which must be this event. Raises RuntimeError for another one."""
        assert self._process.stdout
        watchdog = threading.Timer(within_s, self._process.kill)
        watchdog.start()
        try:
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
        if not line:
            raise RuntimeError(f"the subscriber did not say {event!r} within {within_s:.0f} s")
        message: dict[str, Any] = json.loads(line)
        if message.pop("event") != event:
            raise RuntimeError(f"the subscriber said {line[:200]!r} in the place of {event!r}")
        return message


@contextmanager
def subscriber(**job: str) -> Iterator[Subscriber]:
    """Run a subscriber that has joined its room."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.subscriber"],
        env=os.environ | {"LIVEKIT_LIB_PATH": str(_own_library())},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        subscriber = Subscriber(process)
        subscriber.tell(**job)
        subscriber.expect("joined", within_s=20)
        yield subscriber
    finally:
        assert process.stdin
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout
        process.stdout.close()


def _own_library() -> Path:
    """Return a copy of the SDK's native library: sharing pages with the publisher would reduce the publisher's PSS."""
    original = _native_library()
    copy = cache_folder() / f"bench-subscriber-{original.stat().st_size}.so"
    if not copy.exists():
        unfinished = copy.with_suffix(".part")
        shutil.copyfile(original, unfinished)
        unfinished.replace(copy)
    return copy


def _native_library() -> Path:
    """Find the library without importing the SDK, so that this process does not share its pages either."""
    spec = find_spec("livekit")
    assert spec
    for place in spec.submodule_search_locations or ():
        for found in (Path(place) / "rtc" / "resources").glob("liblivekit_ffi.*"):
            if found.suffix in (".so", ".dylib"):
                return found
    raise RuntimeError("livekit's native library is not where its wheels put it")
