"""Plays a media file in a loop on the monotonic clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import av
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from device.clock import monotonic_us
from device.errors import SourceError
from device.sources.opening import UNREADABLE, Kind, error_text, opened
from device.sources.packet_times import StoredTimes, period_us
from device.sources.survey import Survey, has_data_at, is_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FrameType = TypeVar("FrameType", VideoFrame, AudioFrame)
Item = TypeVar("Item")

_US = 1_000_000
_MIN_DURATION_US = 100_000
# A file that ends this much before the time that it declares is truncated.
_TRUNCATED_US = 1_000_000
# Most files are read completely in this time, so that nothing about them has to be believed.
_SURVEY_S, _SURVEY_FOR_START_S = 0.2, 4.0
_SURVEY_PART_IF_DECLARED = 0.25  # of this time: a declared duration is believed if there is data at that end
_UNKNOWN_US = 1 << 60
# In MPEG's transport and program streams FFmpeg seeks by the times of decoding, to any picture: a search for a key
# frame's time of presentation ends behind it. A search this much before a key frame, or before any time, finds it.
_SEEK_BEHIND_KEYS = ("mpegts", "mpeg")
_REORDERING_US, _LONG_GOP_US = 500_000, 10_000_000
# A declared duration that is shorter by this is a wrong estimate.
_ESTIMATED_US = 100_000


class Loop:
    """An open file and its timing on the monotonic clock: loop n begins at epoch + n * duration.

    Picture and sound of one file are played by two processes. Both derive the same duration from the file alone, so
    they stay in step. A file that declares no duration, or a wrong one because it is truncated, is read to its end. If
    that takes long, it goes on while the file already plays, and the duration is `_UNKNOWN_US` until then. Without
    `decoding` only the first picture is decoded.
    """

    def __init__(
        self,
        path: str,
        kind: Kind,
        epoch_us: int,
        *,
        on_damage: Callable[[str], None] = lambda _path: None,
        decoding: bool = True,
    ) -> None:
        self.path, self._kind, self._decoding = path, kind, decoding
        self._on_damage, self._damage_reported = on_damage, False
        self._epoch_us = epoch_us
        self._skip_until_us = self._reordering_us = 0
        self._open()
        self._origin_us: int = self._container.start_time or 0
        self._declared_us: int = self._container.duration or 0
        self.survey = Survey(path, kind, self._container, self.stream)
        self._determine_duration()
        self._seek(0)

    @property
    def duration_us(self) -> int:
        """Return the length of one loop, or a very long time as long as it is not known."""
        if self._trusted:
            return self._declared_us
        if not self.survey.complete.is_set():
            return _UNKNOWN_US
        end_us = self.survey.end_us
        declared = self._declared_us and -_TRUNCATED_US < end_us - self._declared_us < _ESTIMATED_US
        return self._declared_us if declared else end_us

    def _determine_duration(self) -> None:
        self._trusted = not is_regular(self.path)
        if not self._trusted:
            self.survey.read(_SURVEY_S * (_SURVEY_PART_IF_DECLARED if self._declared_us else 1))
            if self._declared_us and not self.survey.complete.is_set():
                self._trusted = has_data_at(self._container, self._origin_us + self._declared_us - _TRUNCATED_US)
                self._container.close()
                self._open()
                burst = self.survey.burst
                self.survey = Survey(self.path, self._kind, self._container, self.stream)
                self.survey.burst = burst
        if not (self._trusted or self.survey.complete.is_set()):
            if self.survey.end_us < monotonic_us() - self._epoch_us:
                self.survey.read(_SURVEY_FOR_START_S)
            if not self.survey.complete.is_set():
                self.survey.finish_in_background()
        if self.duration_us < _MIN_DURATION_US:
            raise SourceError(
                f"{self.path}: has no known duration of at least 0.1 s, so it cannot be looped",
                for_viewers="the file cannot be looped",
            )
        if not self._trusted and self.duration_us < self._declared_us - _TRUNCATED_US:
            self.report_damage()

    def _open(self) -> None:
        self._container, self.stream = opened(self.path, self._kind)
        if self._kind == "video":
            # Frame threads as well: with slices alone most files are decoded by one processor. A single picture needs
            # no threads: they take 5 MB.
            self.stream.thread_type = "AUTO" if self._decoding else "NONE"
            if not self._decoding:
                self.stream.codec_context.thread_count = 1
        self._by_decoding = self._kind == "video" and self._container.format.name == "avi"

    def starts(self) -> Iterator[int]:
        """Seek the file and yield the monotonic start time of each loop; the first is the current loop.

        Loops that have ended already are skipped, for example after decoding that was slower than real time.
        """
        number, inside_us = self._running()
        if self.duration_us == _UNKNOWN_US and inside_us > self.survey.end_us:
            # A long file that was started long ago: out of step until it ends, rather than no picture.
            self._seek(0)
            yield monotonic_us()
            number, inside_us = self._running()
        while True:
            self._seek(inside_us)
            yield self._epoch_us + number * self.duration_us
            number, inside_us = max(number + 1, self._running()[0]), 0

    def _running(self) -> tuple[int, int]:
        """Return the number of the current loop, and the position in it in microseconds."""
        return divmod(max(0, monotonic_us() - self._epoch_us), self.duration_us)

    def _seek(self, inside_us: int) -> None:
        self._skip_until_us = 0
        target_us = inside_us
        if self._container.format.name in _SEEK_BEHIND_KEYS:
            known = self.survey.complete.is_set()
            target_us = (self.survey.key_before_us(inside_us) if known else inside_us - _LONG_GOP_US) - _REORDERING_US
        try:
            self._container.seek(self._origin_us + target_us)
        except av.error.FFmpegError:  # a file that cannot seek is read from its beginning
            self._container.close()
            self._open()
            self._skip_until_us = self.survey.key_before_us(inside_us)
        period = period_us(self.stream)
        self._packet_times = StoredTimes(origin_us=self._origin_us, period_us=period, by_decoding=self._by_decoding)
        self._frame_times: StoredTimes | None = None

    def first_picture(self) -> VideoFrame:
        """Decode one picture, because what a file declares about its pictures may be incomplete or wrong."""
        frame, at_us = next(
            self.remaining_or_all(
                lambda: self.frames(VideoFrame),
                empty=SourceError(
                    f"{self.path}: has no picture that can be decoded; it may be incomplete", for_viewers=UNREADABLE
                ),
            )
        )
        if self._by_decoding:
            self._reordering_us = at_us
        return frame

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
        for packet, at_us in self._packets():
            if packet.is_corrupt:
                self.report_damage()
            if self._frame_times is None:
                self._frame_times = StoredTimes(
                    origin_us=self._origin_us + self._reordering_us,
                    period_us=self._packet_times.period_us,
                    next_us=at_us,
                    by_decoding=self._by_decoding,
                )
            try:
                decoded = packet.decode()
            except (av.error.InvalidDataError, av.error.EOFError):
                self.report_damage()
                continue
            except av.error.FFmpegError as error:
                raise self._unreadable(error) from None
            for frame in decoded:
                if isinstance(frame, kind):
                    yield frame, self._frame_times.of(frame, duration_us=_length_us(frame))

    def report_damage(self) -> None:
        """Report once that a part of the file cannot be read."""
        if not self._damage_reported:
            self._damage_reported = True
            self._on_damage(self.path)

    def packets(self) -> Iterator[tuple[av.Packet[Any], int]]:
        """Yield the remaining packets of the file, each with its time as `frames` does."""
        for packet, at_us in self._packets():
            if packet.size:  # the last packet is empty: it flushes a decoder
                yield packet, at_us

    def _packets(self) -> Iterator[tuple[av.Packet[Any], int]]:
        try:
            for packet in self._container.demux(self.stream):
                at_us = self._packet_times.of(packet) if packet.size else self._packet_times.next_us
                if not (self._skip_until_us and packet.size) or at_us >= self._skip_until_us:
                    yield packet, at_us
        except av.error.FFmpegError as error:
            raise self._unreadable(error) from None
        if not self._trusted:
            self.survey.complete.wait()  # now the duration is needed

    def _unreadable(self, error: av.error.FFmpegError) -> SourceError:
        return SourceError(f"{self.path}: cannot be read: {error_text(error)}", for_viewers=UNREADABLE)


def _length_us(frame: VideoFrame | AudioFrame) -> int:
    return frame.samples * _US // frame.sample_rate if isinstance(frame, AudioFrame) else 0
