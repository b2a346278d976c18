"""The pictures of a network stream, decoded: any codec of FFmpeg, scaled down to fit but never up."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import av
from av.video.frame import VideoFrame

from device.clock import monotonic_us
from device.media.picture import FramePicture
from device.sources.conversion import PIXEL_FORMAT
from device.sources.filtering import Converter, Deinterlacer
from device.sources.opening import error_text
from device.sources.pacing import RateLimit, sleep_until_us

if TYPE_CHECKING:
    from collections.abc import Iterator

    from device.sources.network_input import NetworkInput

# If decoding and encoding are slower than the stream, a late picture is shown at this interval only, and pictures that
# no other picture references are not decoded.
_LATE_US, _LATE_INTERVAL_US = 300_000, 200_000


class NetworkVideo:
    """Pictures as they arrive, at most `fps` a second. The first one is decoded when the object is created."""

    name = "stream"
    pixel_format = PIXEL_FORMAT

    def __init__(self, source: NetworkInput, *, width: int, height: int, fps: int) -> None:
        self._source = source
        self._deinterlacer = Deinterlacer()
        self._frames = self._deinterlacer.pictures(self._decoded())
        self._first = next(self._frames)
        self._converter = Converter(self._first[0], source.stream, max_width=width, max_height=height)
        self.width, self.height, self.colour = self._converter.width, self._converter.height, self._converter.colour
        self.fps = max(1, min(fps, round(source.rate or fps)))
        self.missed = 0

    def pictures(self) -> Iterator[FramePicture]:
        """Yield pictures without end; late ones are left out. Raises SourceError when the stream ends."""
        limit = RateLimit(fps=self.fps)
        before_us, shown_at_us = -1, 0
        for number, (frame, captured_at_us) in enumerate(chain((self._first,), self._frames), start=1):
            now_us = monotonic_us()
            late = now_us - captured_at_us > _LATE_US
            self._source.stream.codec_context.skip_frame = "NONREF" if late else "DEFAULT"
            self._deinterlacer.bypassed = late
            if late and now_us - shown_at_us < _LATE_INTERVAL_US:
                self.missed += 1
            elif limit.admits(captured_at_us):
                before_us, shown_at_us = max(before_us + 1, captured_at_us), now_us
                if self._source.paced:
                    sleep_until_us(before_us)
                yield FramePicture(frame=self._converted(frame), number=number, captured_at_us=before_us)

    def _converted(self, frame: VideoFrame) -> VideoFrame:
        try:
            return self._converter.converted(frame)
        except (av.error.FFmpegError, ValueError) as error:
            raise self._source.refused(f"its pictures cannot be converted ({error_text(error)})") from None

    def _decoded(self) -> Iterator[tuple[VideoFrame, int]]:
        whole = False
        for packet, _ in self._source.packets():
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:  # before the first key frame, or after a lost packet
                continue
            except av.error.FFmpegError as error:
                raise self._source.refused(f"cannot be decoded: {error_text(error)}") from None
            for frame in frames:
                if isinstance(frame, VideoFrame):
                    whole = whole or not frame.is_corrupt
                    if whole:
                        yield frame, self._source.captured_at_us(frame)
