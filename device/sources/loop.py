"""A file that FFmpeg opens, played over and over on the monotonic clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar

import av
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from device.clock import monotonic_us
from device.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

FrameType = TypeVar("FrameType", VideoFrame, AudioFrame)

_US = 1_000_000
_MIN_DURATION_US = 100_000


class Loop:
    """An open file and its place on the monotonic clock: loop n begins at epoch + n * duration."""

    def __init__(self, path: str, kind: Literal["video", "audio"], epoch_us: int) -> None:
        try:
            self._container = av.open(path)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise SourceError(f"{path}: cannot be opened: {_words(error)}") from None
        streams: Any = getattr(self._container.streams, kind)
        if not streams:
            raise SourceError(f"{path}: holds no {kind}")
        duration_us = self._container.duration
        if duration_us is None or duration_us < _MIN_DURATION_US:
            raise SourceError(f"{path}: has no known duration of at least 0.1 s, so it cannot be looped")
        self.path = path
        self.stream = streams[0]
        self.duration_us: int = duration_us
        self._origin_us: int = self._container.start_time or 0
        self._epoch_us = epoch_us

    def starts(self) -> Iterator[int]:
        """Yield the monotonic start of each loop, the running one first, with the file at that place."""
        number, inside_us = divmod(max(0, monotonic_us() - self._epoch_us), self.duration_us)
        while True:
            self._container.seek(self._origin_us + inside_us)
            yield self._epoch_us + number * self.duration_us
            number, inside_us = number + 1, 0

    def frames(self, kind: type[FrameType]) -> Iterator[tuple[FrameType, int]]:
        """Yield what is left of the file, each frame with its time since the beginning, in microseconds."""
        try:
            for frame in self._container.decode(self.stream):
                if not isinstance(frame, kind):
                    raise self._untimed()
                yield frame, self._since_start_us(frame)
        except av.error.FFmpegError as error:
            raise SourceError(f"{self.path}: cannot be decoded: {_words(error)}") from None

    def packets(self) -> Iterator[tuple[av.Packet[Any], int]]:
        """Yield what is left of the file as it is stored, each packet with its time as `frames` does."""
        try:
            for packet in self._container.demux(self.stream):
                if packet.size:  # the last one, empty, is for a decoder
                    yield packet, self._since_start_us(packet)
        except av.error.FFmpegError as error:
            raise SourceError(f"{self.path}: cannot be read: {_words(error)}") from None

    def _since_start_us(self, stored: VideoFrame | AudioFrame | av.Packet[Any]) -> int:
        if stored.pts is None or stored.time_base is None:
            raise self._untimed()
        return int(stored.pts * stored.time_base * _US) - self._origin_us

    def _untimed(self) -> SourceError:
        return SourceError(f"{self.path}: has frames without a time stamp")


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
