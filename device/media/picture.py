"""Pictures before the encoder, and access units after it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import av


class Picture(Protocol):
    """One frame in YUV 4:2:0, with its number and its capture time on the monotonic clock, in microseconds."""

    @property
    def number(self) -> int: ...
    @property
    def captured_at_us(self) -> int: ...
    def mapped(self) -> AbstractContextManager[av.VideoFrame]:
        """Return the frame as a PyAV frame, which is valid inside the context only."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FramePicture:
    """A picture in ordinary memory, from a file or the test pattern."""

    frame: av.VideoFrame
    number: int
    captured_at_us: int

    def mapped(self) -> AbstractContextManager[av.VideoFrame]:
        return nullcontext(self.frame)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessUnit:
    """One encoded frame: Annex B, with SPS and PPS before each key frame."""

    payload: bytes
    key: bool
    width: int
    height: int
    number: int
    captured_at_us: int


Sink = Callable[[AccessUnit], None]
