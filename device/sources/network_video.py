"""The pictures of a network stream, decoded: any codec of FFmpeg, scaled down to fit but never up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
from av.video.frame import VideoFrame

from device.clock import monotonic_us
from device.media.picture import FramePicture
from device.sources.pacing import RateLimit, sleep_until_us
from device.sources.video_clip import colour_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from device.sources.network_input import NetworkInput

# If decoding and encoding are slower than the stream, a late picture is shown at this interval only, and pictures that
# no other picture references are not decoded.
_LATE_US, _LATE_INTERVAL_US = 300_000, 200_000


class NetworkVideo:
    """Pictures as they arrive, at most `fps` a second. The first one is decoded when the object is created."""

    name = "stream"
    pixel_format = "yuv420p"

    def __init__(self, source: NetworkInput, *, width: int, height: int, fps: int) -> None:
        self._source = source
        self._frames = self._decoded()
        self._first = next(self._frames)
        context = source.stream.codec_context
        self._limits = (width, height)
        self._fit(self._first)
        self.fps = max(1, min(fps, round(source.rate or fps)))
        self.colour = colour_of(context, self.height)
        self.missed = 0

    def pictures(self) -> Iterator[FramePicture]:
        """Yield pictures without end; late ones are left out. Raises SourceError when the stream ends."""
        limit = RateLimit(fps=self.fps)
        number, before_us, shown_at_us = 0, -1, 0
        frame: VideoFrame | None = self._first
        while frame is not None:
            captured_at_us, now_us = self._source.captured_at_us(frame), monotonic_us()
            late = now_us - captured_at_us > _LATE_US
            self._source.stream.codec_context.skip_frame = "NONREF" if late else "DEFAULT"
            number += 1
            if late and now_us - shown_at_us < _LATE_INTERVAL_US:
                self.missed += 1
            elif limit.admits(captured_at_us):
                before_us, shown_at_us = max(before_us + 1, captured_at_us), now_us
                if self._source.paced:
                    sleep_until_us(before_us)
                yield FramePicture(frame=self._fitting(frame), number=number, captured_at_us=before_us)
            frame = next(self._frames, None)

    def _decoded(self) -> Iterator[VideoFrame]:
        whole = False
        for packet, _ in self._source.packets():
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:  # before the first key frame, or after a lost packet
                continue
            except av.error.FFmpegError as error:
                raise self._source.refused(f"cannot be decoded: {error.strerror}") from None
            for frame in frames:
                if isinstance(frame, VideoFrame):
                    whole = whole or not frame.is_corrupt
                    if whole:
                        yield frame

    def _fit(self, frame: VideoFrame) -> None:
        self._own_size = frame.width, frame.height
        scale = min(1.0, self._limits[0] / frame.width, self._limits[1] / frame.height)
        self.width = max(2, int(frame.width * scale) & ~1)
        self.height = max(2, int(frame.height * scale) & ~1)

    def _fitting(self, frame: VideoFrame) -> VideoFrame:
        if (frame.width, frame.height) != self._own_size:
            raise self._source.refused(f"its size has changed to {frame.width}x{frame.height}; it is opened again")
        return frame.reformat(width=self.width, height=self.height, format=self.pixel_format)

