"""Reads all packets of a file, without decoding: where it really ends, where its key frames are, how fast it is."""

from __future__ import annotations

import stat
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from device.errors import SourceError
from device.sources.opening import Kind, films, opened
from device.sources.packet_times import BurstRate, StoredTimes, period_us

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer

_US = 1_000_000
_NEAR_US = 1_000_000
_KEY_INTERVAL_US = 500_000  # closer key frames are not noted


class Survey:
    """What the packets of a file have shown so far. Times in microseconds since the file's beginning.

    `read` reads on for a limited time, `finish_in_background` to the end, on a thread with a container of its own.
    """

    def __init__(self, path: str, kind: Kind, container: InputContainer, stream: Any) -> None:
        self._path, self._kind = path, kind
        self.end_us = 0
        self.complete = threading.Event()
        self.keys_us: list[int] = []
        self.burst = BurstRate()
        self._origin_us = container.start_time or 0
        self._packets = self._all(container, stream)

    def read(self, for_s: float) -> None:
        """Read on for at most this long."""
        until = time.monotonic() + for_s
        for _ in self._packets:
            if time.monotonic() >= until:
                return
        self.complete.set()

    def finish_in_background(self) -> None:
        """Read the rest on a thread, from the beginning, because the container is used by others now."""
        threading.Thread(target=self._finish, name="survey", daemon=True).start()

    def key_before_us(self, at_us: int) -> int:
        """Return the time of the last key frame, of those that were read, that is not after a time."""
        return max((each for each in self.keys_us if each <= at_us), default=0)

    def _finish(self) -> None:
        try:
            container, stream = opened(self._path, self._kind)
            rest = Survey(self._path, self._kind, container, stream)
            for _ in rest._packets:
                self.end_us = max(self.end_us, rest.end_us)
                time.sleep(0)  # playing has priority
            self.keys_us = rest.keys_us
            container.close()
        except SourceError:
            pass  # the file is gone: what was read counts, and the next loop reports it
        finally:
            self.complete.set()

    def _all(self, container: InputContainer, stream: Any) -> Iterator[None]:
        streams = films(container)
        times = {each.index: StoredTimes(origin_us=self._origin_us, period_us=period_us(each)) for each in streams}
        try:
            for packet in container.demux(streams):
                if not packet.size:  # it flushes a decoder
                    continue
                clock = times[packet.stream.index]
                at_us = clock.of(packet)
                self.end_us = max(self.end_us, clock.next_us)
                if packet.stream.index == stream.index:
                    if self._kind == "video":
                        self.burst.add(at_us)
                    if packet.is_keyframe and (not self.keys_us or at_us >= self.keys_us[-1] + _KEY_INTERVAL_US):
                        self.keys_us.append(at_us)
                yield
        except av.error.FFmpegError:
            return  # damaged: it ends here


def has_data_at(container: InputContainer, at_us: int) -> bool:
    """Return whether there is data at a time, which is one of the file's own; a truncated file has none at its end."""
    times = StoredTimes(origin_us=0, period_us=0)
    try:
        container.seek(at_us, any_frame=True)
        return any(times.of(packet) > at_us - _NEAR_US for packet in container.demux() if packet.size)
    except av.error.FFmpegError:
        return False


def is_regular(path: str) -> bool:
    """Return whether a path is a file, as opposed to a pipe, which can be read only once."""
    try:
        return stat.S_ISREG(Path(path).stat().st_mode)
    except OSError:
        return False
