"""Decodes H.264 that is passed through, but only when its picture is needed."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

import av
from av.codec.context import Flags
from av.video.frame import VideoFrame

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

_FIRST_COST_S = 0.005  # until it has been measured
_SMOOTHING = 0.1


class LazyDecoder:
    """Keeps the units since the last key frame, and decodes them when asked to.

    `cost_s` is how long decoding the kept units will take, as measured on earlier ones. `newest` is the last picture
    since the last key frame that was decoded, if there is one.
    """

    def __init__(self) -> None:
        self._context: VideoCodecContext | None = None
        self.newest: VideoFrame | None = None
        self._kept: deque[bytes] = deque()
        self._bytes = 0
        self._unit_s = _FIRST_COST_S

    @property
    def context(self) -> VideoCodecContext:
        """The decoder, which exists only while units are decoded: its pictures need much memory."""
        if self._context is None:
            self._context = av.CodecContext.create("h264", "r")
            self._context.flags |= Flags.low_delay
        return self._context

    @property
    def cost_s(self) -> float:
        return len(self._kept) * self._unit_s

    @property
    def kept_bytes(self) -> int:
        return self._bytes

    def add(self, payload: bytes, *, key: bool) -> None:
        """Take the next unit; a key frame makes earlier ones unnecessary."""
        if key:
            self._kept.clear()
            self._bytes, self._context, self.newest = 0, None, None
        self._kept.append(payload)
        self._bytes += len(payload)

    def decode(self, *, within_s: float) -> VideoFrame | None:
        """Decode kept units for about this time; return the newest picture, if there is one."""
        newest: VideoFrame | None = None
        started = now = time.monotonic()
        while self._kept and now - started < within_s:
            payload = self._kept.popleft()
            self._bytes -= len(payload)
            try:
                frames = self.context.decode(av.Packet(payload))
            except av.error.InvalidDataError:
                frames = []
            for frame in frames:
                if isinstance(frame, VideoFrame):
                    newest = self.newest = frame
            before, now = now, time.monotonic()
            self._unit_s += _SMOOTHING * (now - before - self._unit_s)
        return newest
