"""Pictures of any source, turned: for encoders in software, because a sensor and the board's encoder do not turn."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from device.sources.filtering import Filtering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from av.video.frame import VideoFrame

    from device.media.picture import Picture
    from device.sources.conversion import Turn


@dataclass(slots=True, kw_only=True)
class TurnedPicture:
    """A picture that is turned when it is needed: pictures that are dropped cost nothing."""

    picture: Picture
    turn: Callable[[VideoFrame], VideoFrame]
    number: int
    captured_at_us: int
    _turned: VideoFrame | None = field(default=None, init=False)

    @contextmanager
    def mapped(self) -> Iterator[VideoFrame]:
        if self._turned is None:
            with self.picture.mapped() as frame:
                self._turned = self.turn(frame)
        yield self._turned


class TurnedSource:
    """A source whose pictures are turned, one turn after the other. Width and height are those of the result."""

    turned = True  # no encoder of the board takes these pictures

    def __init__(self, source: Any, turns: Sequence[Turn]) -> None:
        self._source = source
        exchanged = sum(turn.exchanges_sides for turn in turns) % 2
        sizes = (source.width, source.height)
        self.width, self.height = reversed(sizes) if exchanged else sizes
        self.name: str = source.name
        self.fps: int = source.fps
        self.colour = source.colour
        self.offered: dict[str, Any] = getattr(source, "offered", {})
        self.pixel_format: str = source.pixel_format
        self._filters = [each for turn in turns for each in turn.filters]
        self._filtering: Filtering | None = None

    @property
    def missed(self) -> int:
        return int(self._source.missed)

    def pictures(self) -> Iterator[TurnedPicture]:
        for picture in self._source.pictures():
            yield TurnedPicture(
                picture=picture, turn=self._turned, number=picture.number, captured_at_us=picture.captured_at_us
            )

    def _turned(self, frame: VideoFrame) -> VideoFrame:
        if self._filtering is None:
            self._filtering = Filtering(frame, [*self._filters, ("format", self.pixel_format)])
        frame.pts = 0
        return next(iter(self._filtering.filtered(frame)))
