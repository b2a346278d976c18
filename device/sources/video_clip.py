"""A file as camera: anything that FFmpeg opens, looped, in real time, in step with the sound of the same loop."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from av.video.frame import VideoFrame

from device.clock import monotonic_us
from device.media.colour import Colour, customary
from device.media.picture import FramePicture
from device.sources.loop import Loop
from device.sources.pacing import sleep_until_us

if TYPE_CHECKING:
    from collections.abc import Iterator

_US = 1_000_000
_UNSPECIFIED = 2  # ITU-T H.273
# Decoding from the key frame before the running place takes less than this, as a rule; and late pictures are shown
# no closer together, for what is left out is caught up.
_PATIENCE_US, _LATE_APART_US = 1_000_000, 100_000


class VideoClip:
    """The pictures of a file, scaled down to fit, never up; at most `fps` a second."""

    name = "file"
    pixel_format = "yuv420p"

    def __init__(self, *, path: str, width: int, height: int, fps: int, epoch_us: int) -> None:
        self._loop = Loop(path, "video", epoch_us)
        context = self._loop.stream.codec_context
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

        If decoding is slower than real time, or begins far before the running place because there is no key frame
        nearby, pictures come late instead: fewer of them, never none. They have the capture time at which they are
        shown, and the film goes on from there; it is in step with its sound again when decoding has caught up.
        """
        number, last_due_us = 0, 0
        shown_at_us = monotonic_us() + _PATIENCE_US - _LATE_APART_US
        last: VideoFrame | None = None
        for start_us in self._loop.starts():
            for frame, offset_us in self._loop.frames(VideoFrame):
                due_us = start_us + offset_us
                # A quarter of a period of tolerance: time stamps of containers are rounded.
                if due_us - last_due_us < self._period_us * 3 // 4:
                    continue
                number += 1
                now_us = monotonic_us()
                late = due_us < now_us - self._period_us
                if late and now_us - shown_at_us < _LATE_APART_US:
                    self.missed += 1
                    continue
                for held in () if late else self._held(last, last_due_us, due_us):
                    number += 1
                    yield replace(held, number=number)
                last_due_us = due_us
                last = frame.reformat(width=self.width, height=self.height, format=self.pixel_format)
                sleep_until_us(due_us)
                shown_at_us = monotonic_us()
                yield FramePicture(frame=last, number=number, captured_at_us=shown_at_us if late else due_us)
            end_us = start_us + self._loop.duration_us
            for held in self._held(last, max(last_due_us, shown_at_us - _US), end_us):
                number += 1
                last_due_us = held.captured_at_us
                yield replace(held, number=number)
            sleep_until_us(end_us)

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
