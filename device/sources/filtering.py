"""Runs decoded pictures through FFmpeg's filters, as `device.sources.conversion` plans it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.filter import Graph
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from device.media.colour import Colour, default_colour
from device.sources.conversion import Conversion, Decoded, Turn, conversion, turn_of_matrix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from device.sources.conversion import Filter

_US = 1_000_000
_TIME_BASE = Fraction(1, _US)
_UNSPECIFIED = 2  # ITU-T H.273


class Filtering:
    """A chain of filters for pictures of one size and format."""

    def __init__(
        self,
        template: VideoFrame,
        filters: Iterable[Filter],
        *,
        tone_mapping: int = 0,
        filters_before: Iterable[Filter] = (),
    ) -> None:
        self._graph = Graph()
        self._input = self._buffer(template)
        last = self._input
        for each in filters_before:
            last = self._linked(last, each)
        if tone_mapping:
            from device.sources.tone_mapping import hald_image  # imports numpy: 12 MB

            table = VideoFrame.from_ndarray(hald_image(tone_mapping)[..., [1, 2, 0]], format="gbrp10le")
            table.pts, table.time_base = 0, _TIME_BASE
            colours = self._buffer(table)
            mapped = self._graph.add("haldclut", "clut=first:interp=tetrahedral")
            last.link_to(mapped, 0, 0)
            colours.link_to(mapped, 0, 1)
            last = mapped
        for each in filters:
            last = self._linked(last, each)
        self._output = self._linked(last, ("buffersink", ""))
        self._graph.configure()
        if tone_mapping:
            colours.push(table)
            colours.push(None)

    def _buffer(self, template: VideoFrame) -> Any:
        return self._graph.add_buffer(
            width=template.width, height=template.height, format=template.format, time_base=_TIME_BASE
        )

    def _linked(self, last: Any, each: Filter) -> Any:
        added: Any = self._graph.add(each[0], each[1]) if each[1] else self._graph.add(each[0])
        last.link_to(added)
        return added

    def filtered(self, frame: VideoFrame | None) -> Iterator[VideoFrame]:
        """Give the filters one picture, or None for the end; yield those that come out. Its time stays."""
        self._input.push(frame)
        while True:
            try:
                yield self._output.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return


class Deinterlacer:
    """Makes whole pictures of interlaced ones, at their own rate, and passes progressive ones on.

    A picture comes out when the next one goes in. `bypassed` saves the time if decoding is too slow already.
    """

    def __init__(self) -> None:
        self.bypassed = False
        self._filtering: Filtering | None = None
        self._shape: object = None

    def pictures(self, timed: Iterable[tuple[VideoFrame, int]]) -> Iterator[tuple[VideoFrame, int]]:
        """Yield each picture with its time in microseconds."""
        for frame, at_us in timed:
            shape = (frame.width, frame.height, frame.format.name)
            if self._filtering is not None and (self.bypassed or shape != self._shape):
                yield from self._rest()
            if self.bypassed or not (frame.interlaced_frame or self._filtering):
                yield frame, at_us
                continue
            if self._filtering is None:
                self._shape = shape
                self._filtering = Filtering(frame, [("bwdif", "mode=send_frame:deint=interlaced")])
            frame.pts, frame.time_base = at_us, _TIME_BASE
            yield from _timed(self._filtering.filtered(frame))
        yield from self._rest()

    def _rest(self) -> Iterator[tuple[VideoFrame, int]]:
        filtering, self._filtering = self._filtering, None
        if filtering is not None:
            yield from _timed(filtering.filtered(None))


def _timed(frames: Iterable[VideoFrame]) -> Iterator[tuple[VideoFrame, int]]:
    for frame in frames:
        if frame.pts is not None and frame.time_base is not None:
            yield frame, round(frame.pts * frame.time_base * _US)


class Converter:
    """Converts a stream's pictures, one by one, to upright, square, 8-bit YUV 4:2:0 of one size.

    The first picture decides about the size; later ones of another shape get black bars.
    """

    def __init__(self, first: VideoFrame, stream: Any, *, max_width: int, max_height: int) -> None:
        self._stream = stream
        self.decoded = decoded_of(first, stream)
        self._shape = _shape(first)
        self._conversion = conversion(self.decoded, max_width=max_width, max_height=max_height)
        self.width, self.height, self.colour = self._conversion.width, self._conversion.height, self._conversion.colour
        self._filtering: Filtering | None = None

    def converted(self, frame: VideoFrame) -> VideoFrame:
        """Return the picture that is sent. Raises FFmpegError, or ValueError, for one that the filters refuse."""
        if (shape := _shape(frame)) != self._shape:
            self._shape, self._filtering = shape, None
            decoded = decoded_of(frame, self._stream)
            self._conversion = conversion(decoded, max_width=self.width, max_height=self.height, exact=True)
        plan = self._conversion
        if not plan.filters:
            return frame
        if self._filtering is None:
            self._filtering = filtering_of(plan, frame)
        frame.pts, frame.time_base = frame.pts or 0, frame.time_base or _TIME_BASE
        return next(iter(self._filtering.filtered(frame)))


def filtering_of(plan: Conversion, template: VideoFrame) -> Filtering:
    """Return the filters of a conversion, for pictures like this one."""
    return Filtering(template, plan.filters, tone_mapping=plan.tone_mapping, filters_before=plan.filters_before)


def decoded_of(frame: VideoFrame, stream: Any) -> Decoded:
    """Return how a picture of this stream was decoded."""
    context = stream.codec_context
    return Decoded(
        width=frame.width,
        height=frame.height,
        pixel_format=frame.format.name,
        sample_aspect=stream.sample_aspect_ratio or Fraction(1),
        turn=_turn(frame),
        interlaced=bool(frame.interlaced_frame),
        colour=colour_of(context, frame.height),
    )


def _shape(frame: VideoFrame) -> tuple[int, int, str, int]:
    # Not by `side_data`: it refers to its frame, so that each picture stays in memory until the garbage collector runs.
    return frame.width, frame.height, frame.format.name, getattr(frame, "rotation", 0)


def _matrix(frame: VideoFrame) -> bytes:
    side_data: Any = frame.side_data
    return next((bytes(each) for each in side_data if each.type == Type.DISPLAYMATRIX), b"")


def _turn(frame: VideoFrame) -> Turn:
    return turn_of_matrix(_matrix(frame))


def colour_of(context: Any, height: int) -> Colour:
    """Return the colour that a decoder declares; parts that it does not declare have their default for this height."""
    default = default_colour(height)

    def declared(name: str, fallback: int) -> int:
        value = getattr(context, name, None)
        return fallback if value in (None, 0, _UNSPECIFIED) else int(value)

    return Colour(
        primaries=declared("color_primaries", default.primaries),
        transfer=declared("color_trc", default.transfer),
        matrix=declared("colorspace", default.matrix),
        # FFmpeg's numbers: 0 is unspecified, 1 limited, 2 full.
        range=int(getattr(context, "color_range", 0) or default.range),
    )
