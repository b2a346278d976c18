"""A file as camera: any format of FFmpeg, in a loop, in real time, in sync with the sound of the same file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from av.video.frame import VideoFrame

from device.clock import monotonic_us
from device.errors import SourceError
from device.media.picture import FramePicture
from device.sources.conversion import PIXEL_FORMAT
from device.sources.filtering import Converter, Deinterlacer
from device.sources.loop import Loop
from device.sources.opening import UNREADABLE
from device.sources.pacing import LateFrames, sleep_until_us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_US = 1_000_000
# When decoding is more than this behind, pictures that no other picture references are not decoded.
_SKIP_BEHIND_US = 500_000


class VideoClip:
    """The pictures of a file, scaled down to fit but never up, at most `fps` a second."""

    name = "file"
    pixel_format = PIXEL_FORMAT

    def __init__(
        self,
        *,
        path: str,
        width: int,
        height: int,
        fps: int,
        epoch_us: int,
        on_damage: Callable[[str], None] = lambda _path: None,
    ) -> None:
        self._loop = Loop(path, "video", epoch_us, on_damage=on_damage)
        first = self._loop.first_picture()
        self._converter = Converter(first, self._loop.stream, max_width=width, max_height=height)
        self._deinterlacer = Deinterlacer()
        self.width, self.height, self.colour = self._converter.width, self._converter.height, self._converter.colour
        native = self._loop.survey.burst.fps or float(self._loop.stream.average_rate or fps)
        self.fps = max(1, min(fps, round(native)))
        self._period_us = _US // fps
        self.missed = 0

    def pictures(self) -> Iterator[FramePicture]:
        """Yield pictures without end, each when it is due. Late pictures are left out.

        If decoding is slower than real time, or starts far back because there is no key frame nearby, some late
        pictures are yielded too, so that there is never no picture. Their capture time is the time at which they are
        shown. Pictures that no other picture references are not decoded then. Each loop ends on time, so the next one
        starts in sync with its sound.
        """
        number, last_us = 0, 0
        lateness = LateFrames(period_us=self._period_us)
        last: VideoFrame | None = None
        for start_us in self._loop.starts():
            unshown: VideoFrame | None = None
            skipping = shown = False
            for frame, offset_us in self._frames():
                now_us, due_us = monotonic_us(), start_us + offset_us
                if shown and now_us >= start_us + self._loop.duration_us:
                    unshown = None
                    break
                late = lateness.is_late(due_us, now_us)
                captured_at_us = now_us if late else due_us
                # A tolerance of a quarter of a period: containers round timestamps.
                if captured_at_us - last_us < self._period_us * 3 // 4:
                    continue
                number += 1
                if skipping != (late and (skipping or due_us < now_us - _SKIP_BEHIND_US)):
                    skipping = not skipping
                    self._loop.skip_nonreference(on=skipping)
                    self._deinterlacer.bypassed = skipping
                if not lateness.admits(due_us, now_us):
                    self.missed += 1
                    unshown = frame
                    continue
                for held in () if late else self._held(last, last_us, due_us):
                    number += 1
                    yield replace(held, number=number)
                unshown, shown = None, True
                last, last_us = self._converter.converted(frame), captured_at_us
                sleep_until_us(captured_at_us)
                yield FramePicture(frame=last, number=number, captured_at_us=last_us)
            if unshown is not None:  # show the last picture although it is late: the sound may be longer
                last, last_us = self._converter.converted(unshown), monotonic_us()
                yield FramePicture(frame=last, number=number, captured_at_us=last_us)
            self._loop.skip_nonreference(on=False)
            self._deinterlacer.bypassed = False
            end_us = start_us + self._loop.duration_us
            for held in self._held(last, last_us, end_us):
                number += 1
                last_us = held.captured_at_us
                yield replace(held, number=number)
            sleep_until_us(end_us)

    def _frames(self) -> Iterator[tuple[VideoFrame, int]]:
        return self._loop.remaining_or_all(
            lambda: self._deinterlacer.pictures(self._loop.frames(VideoFrame)),
            empty=SourceError(
                f"{self._loop.path}: has no picture that can be decoded; it may be incomplete", for_viewers=UNREADABLE
            ),
        )

    def _held(self, frame: VideoFrame | None, since_us: int, until_us: int) -> Iterator[FramePicture]:
        """Repeat a picture every second while the file has no other, so that the source does not count as stalled."""
        if frame is None:
            return
        for due_us in range(since_us + _US, until_us, _US):
            sleep_until_us(due_us)
            yield FramePicture(frame=frame, number=0, captured_at_us=due_us)
