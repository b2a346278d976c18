"""Plays a media file in a loop on the monotonic clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar

import av
from av.audio.frame import AudioFrame
from av.stream import Disposition
from av.video.frame import VideoFrame

from device.clock import monotonic_us
from device.errors import SourceError, system_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FrameType = TypeVar("FrameType", VideoFrame, AudioFrame)
Item = TypeVar("Item")

_US = 1_000_000
_MIN_DURATION_US = 100_000
UNREADABLE = "the file cannot be read"


class Loop:
    """An open file and its timing on the monotonic clock: loop n begins at epoch + n * duration."""

    def __init__(
        self,
        path: str,
        kind: Literal["video", "audio"],
        epoch_us: int,
        *,
        on_damage: Callable[[str], None] = lambda _path: None,
    ) -> None:
        self.path, self._kind = path, kind
        self._on_damage, self._damage_reported = on_damage, False
        self._open()
        duration_us = self._container.duration
        if duration_us is None or duration_us < _MIN_DURATION_US:
            raise SourceError(
                f"{path}: has no known duration of at least 0.1 s, so it cannot be looped",
                for_viewers="the file cannot be looped",
            )
        self.duration_us: int = duration_us
        self._origin_us: int = self._container.start_time or 0
        self._epoch_us = epoch_us

    def first_picture(self) -> VideoFrame:
        """Decode one picture, because what a file declares about its pictures may be incomplete or wrong."""
        return next(
            self.remaining_or_all(
                lambda: (frame for frame, _ in self.frames(VideoFrame)),
                empty=SourceError(
                    f"{self.path}: has no picture that can be decoded; it may be incomplete", for_viewers=UNREADABLE
                ),
            )
        )

    def _open(self) -> None:
        try:
            self._container = av.open(self.path)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise SourceError(
                f"{self.path}: cannot be opened: {error_text(error)}", for_viewers="the file cannot be opened"
            ) from None
        streams: Any = getattr(self._container.streams, self._kind)
        # Cover art of a music file is a video stream too.
        self.stream: Any = next((each for each in streams if not each.disposition & Disposition.attached_pic), None)
        if self.stream is None:
            raise SourceError(f"{self.path}: has no {self._kind}", for_viewers=f"the file has no {self._kind}")
        if self.stream.codec_context is None:
            raise SourceError(
                f"{self.path}: has {self._kind} that cannot be decoded: the file is incomplete, or its codec is not "
                "known",
                for_viewers=UNREADABLE,
            )

    def starts(self) -> Iterator[int]:
        """Seek the file and yield the monotonic start time of each loop; the first is the current loop.

        Loops that have ended already are skipped, for example after decoding that was slower than real time.
        """
        number, inside_us = self._running()
        while True:
            self._seek(inside_us)
            yield self._epoch_us + number * self.duration_us
            number, inside_us = max(number + 1, self._running()[0]), 0

    def _running(self) -> tuple[int, int]:
        """Return the number of the current loop, and the position in it in microseconds."""
        return divmod(max(0, monotonic_us() - self._epoch_us), self.duration_us)

    def _seek(self, inside_us: int) -> None:
        try:
            self._container.seek(self._origin_us + inside_us)
        except av.error.FFmpegError:  # a file that cannot seek can still be played from its beginning
            self._container.close()
            self._open()

    def remaining_or_all(self, read: Callable[[], Iterator[Item]], *, empty: SourceError) -> Iterator[Item]:
        """Yield the items that `read` finds in the rest of the file; if there are none, those of the whole file.

        Behind the last picture, for example, there are none. Raises `empty` if the whole file has none.
        """
        for attempt in range(2):
            if attempt:
                self.rewind()
            found = False
            for each in read():
                found = True
                yield each
            if found:
                return
        raise empty

    def rewind(self, inside_us: int = 0) -> None:
        """Seek to the key frame at or before a time, in microseconds since the beginning."""
        self._seek(inside_us)

    def skip_nonreference(self, *, on: bool) -> None:
        """Do not decode pictures that no other picture references, or decode all pictures again."""
        self.stream.codec_context.skip_frame = "NONREF" if on else "DEFAULT"

    def frames(self, kind: type[FrameType]) -> Iterator[tuple[FrameType, int]]:
        """Yield the remaining frames of the file, each with its time since the beginning, in microseconds.

        Damaged frames, for example at the end of a truncated file, are left out.
        """
        for packet in self._packets():
            if packet.is_corrupt:
                self.report_damage()
            try:
                decoded = packet.decode()
            except av.error.InvalidDataError:
                self.report_damage()
                continue
            except av.error.FFmpegError as error:
                raise self._unreadable(error) from None
            for frame in decoded:
                if not isinstance(frame, kind):
                    raise self._untimed()
                yield frame, self._since_start_us(frame)

    def report_damage(self) -> None:
        """Report once that a part of the file cannot be read."""
        if not self._damage_reported:
            self._damage_reported = True
            self._on_damage(self.path)

    def packets(self) -> Iterator[tuple[av.Packet[Any], int]]:
        """Yield the remaining packets of the file, each with its time as `frames` does."""
        for packet in self._packets():
            if packet.size:  # the last packet is empty: it flushes a decoder
                yield packet, self._since_start_us(packet)

    def _packets(self) -> Iterator[av.Packet[Any]]:
        try:
            yield from self._container.demux(self.stream)
        except av.error.FFmpegError as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: av.error.FFmpegError) -> SourceError:
        return SourceError(f"{self.path}: cannot be read: {error_text(error)}", for_viewers=UNREADABLE)

    def _since_start_us(self, stored: VideoFrame | AudioFrame | av.Packet[Any]) -> int:
        if stored.pts is None or stored.time_base is None:
            raise self._untimed()
        return int(stored.pts * stored.time_base * _US) - self._origin_us

    def _untimed(self) -> SourceError:
        return SourceError(f"{self.path}: has frames without a timestamp", for_viewers=UNREADABLE)


def error_text(error: Exception) -> str:
    """Return FFmpeg's or the system's fixed text for an error; the error's own text may contain secrets."""
    if isinstance(error, av.error.FFmpegError) and error.strerror:
        return str(error.strerror)
    return system_text(error)
