"""A file as camera: anything that FFmpeg opens, looped, in real time, in step with the sound of the same loop."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from av.video.frame import VideoFrame

from device.clock import monotonic_us
from device.errors import SourceError
from device.media.colour import Colour, customary
from device.media.picture import FramePicture
from device.sources.loop import UNREADABLE, Loop
from device.sources.pacing import LateFrames, sleep_until_us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_US = 1_000_000
_UNSPECIFIED = 2  # ITU-T H.273
# Further behind than this, pictures on which no other one builds are not decoded until it has caught up.
_HURRY_US = 500_000


class VideoClip:
    """The pictures of a file, scaled down to fit, never up; at most `fps` a second."""

    name = "file"
    pixel_format = "yuv420p"

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
        context = self._loop.stream.codec_context
        if not (context.width and context.height and context.pix_fmt):
            raise SourceError(
                f"{path}: holds pictures of unknown size or format; it may be incomplete", for_viewers=UNREADABLE
            )
        scale = min(1.0, width / context.width, height / context.height)
        self.width = max(2, int(context.width * scale) & ~1)
        self.height = max(2, int(context.height * scale) & ~1)
        native = float(self._loop.stream.average_rate or fps)
        self.fps = max(1, min(fps, round(native)))
        self.colour = _colour_of(context, self.height)
        self._period_us = _US // fps
        self.missed = 0

    def pictures(self) -> Iterator[FramePicture]:
        """Yield pictures for ever, each when it is due; those that are over already are left out.

        If decoding is slower than real time, or starts far before the running place because there is no key frame
        nearby, pictures come late instead: fewer of them, never none. They have the capture time at which they are
        shown. Pictures on which no other one builds are not decoded meanwhile. Each loop ends when its time is over,
        so the next one starts in step with its sound.
        """
        number, last_us = 0, 0
        lateness = LateFrames(period_us=self._period_us)
        last: VideoFrame | None = None
        for start_us in self._loop.starts():
            end_us = start_us + self._loop.duration_us
            unshown: VideoFrame | None = None
            hurrying = shown = False
            for frame, offset_us in self._frames():
                now_us, due_us = monotonic_us(), start_us + offset_us
                if shown and now_us >= end_us:
                    unshown = None
                    break
                late = lateness.is_late(due_us, now_us)
                captured_at_us = now_us if late else due_us
                # A quarter of a period of tolerance: time stamps of containers are rounded.
                if captured_at_us - last_us < self._period_us * 3 // 4:
                    continue
                number += 1
                if hurrying != (late and (hurrying or due_us < now_us - _HURRY_US)):
                    hurrying = not hurrying
                    self._loop.hurry(on=hurrying)
                if not lateness.admits(due_us, now_us):
                    self.missed += 1
                    unshown = frame
                    continue
                for held in () if late else self._held(last, last_us, due_us):
                    number += 1
                    yield replace(held, number=number)
                unshown, shown = None, True
                last, last_us = self._fitting(frame), captured_at_us
                sleep_until_us(captured_at_us)
                yield FramePicture(frame=last, number=number, captured_at_us=last_us)
            if unshown is not None:  # the file's last picture is over, as if its sound is longer
                last, last_us = self._fitting(unshown), monotonic_us()
                yield FramePicture(frame=last, number=number, captured_at_us=last_us)
            self._loop.hurry(on=False)
            for held in self._held(last, last_us, end_us):
                number += 1
                last_us = held.captured_at_us
                yield replace(held, number=number)
            sleep_until_us(end_us)

    def _frames(self) -> Iterator[tuple[VideoFrame, int]]:
        return self._loop.left_or_all(
            lambda: self._loop.frames(VideoFrame),
            empty=SourceError(
                f"{self._loop.path}: holds no picture that can be decoded; it may be incomplete", for_viewers=UNREADABLE
            ),
        )

    def _fitting(self, frame: VideoFrame) -> VideoFrame:
        return frame.reformat(width=self.width, height=self.height, format=self.pixel_format)

    def _held(self, frame: VideoFrame | None, since_us: int, until_us: int) -> Iterator[FramePicture]:
        """Repeat a picture each second while the film has no other: a still is not a source that has died."""
        if frame is None:
            return
        for due_us in range(since_us + _US, until_us, _US):
            sleep_until_us(due_us)
            yield FramePicture(frame=frame, number=0, captured_at_us=due_us)


def _colour_of(context: Any, height: int) -> Colour:
    usual = customary(height)

    def said(name: str, default: int) -> int:
        value = getattr(context, name, None)
        return default if value in (None, 0, _UNSPECIFIED) else int(value)

    return Colour(
        primaries=said("color_primaries", usual.primaries),
        transfer=said("color_trc", usual.transfer),
        matrix=said("colorspace", usual.matrix),
        # FFmpeg's own numbers: 0 is unspecified, 1 limited, 2 full.
        range=int(getattr(context, "color_range", 0) or usual.range),
    )
