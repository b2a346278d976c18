"""A file as microphone: any format of FFmpeg, in a loop, in real time, in sync with the pictures of the same file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from device.clock import monotonic_us
from device.errors import SourceError
from device.media.block import BLOCK_MS, BLOCK_SAMPLES, SAMPLE_RATE, Block
from device.sources.loop import Loop
from device.sources.opening import UNREADABLE
from device.sources.pacing import sleep_until_us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    Samples = npt.NDArray[np.int16]

_US = 1_000_000
_GAP_SAMPLES = SAMPLE_RATE // 100  # containers round timestamps to about a millisecond


class SoundClip:
    """The sound of a file at 48 kHz. Each loop is cut to, or filled with silence up to, the file's duration."""

    name = "file"

    def __init__(
        self, *, path: str, channels: int, epoch_us: int, on_damage: Callable[[str], None] = lambda _path: None
    ) -> None:
        self._loop = Loop(path, "audio", epoch_us, on_damage=on_damage)
        self._channels = channels
        self._shape: object = None
        self._resampler: AudioResampler | None = None

    def blocks(self) -> Iterator[Block]:
        """Yield blocks of 20 ms without end, each when its first sample is due, like pictures."""
        size = BLOCK_SAMPLES * self._channels
        pending = np.zeros(0, np.int16)
        position = -1
        for first, samples in self._pieces():
            if position < 0:
                position = first
            pending = np.concatenate((pending, samples))
            while len(pending) >= size:
                block, pending = pending[:size], pending[size:]
                captured_at_us = position * _US // SAMPLE_RATE
                position += BLOCK_SAMPLES
                if captured_at_us + 2 * BLOCK_MS * 1000 < monotonic_us():
                    continue
                sleep_until_us(captured_at_us)
                yield Block(samples=block.tobytes(), captured_at_us=captured_at_us)

    def pace(self, ppm: float) -> None:
        """Do nothing: a file plays on our own clock."""

    def _pieces(self) -> Iterator[tuple[int, Samples]]:
        """Yield interleaved samples without gaps, each piece with the position of its first sample on the clock."""
        position, played_once = -1, False
        for start_us in self._loop.starts():
            self._shape = self._resampler = None  # what is left in it belongs to the previous loop
            found = False
            for frame, offset_us in self._loop.frames(AudioFrame):
                found = True
                due = (start_us + offset_us) * SAMPLE_RATE // _US
                if position < 0:
                    position = due
                while due - position > _GAP_SAMPLES:
                    count = min(due - position, SAMPLE_RATE)
                    yield position, self._silence(count)
                    position += count
                for samples in self._resampled(frame):
                    left = max(0, self._end(start_us) - position) * self._channels
                    yield position, samples[:left]
                    position += len(samples[:left]) // self._channels
            if not found and played_once:
                raise SourceError(
                    f"{self._loop.path}: has no sound that can be decoded; it may be incomplete",
                    for_viewers=UNREADABLE,
                )
            played_once = True
            if position < 0:  # the start is after the last sound
                position = monotonic_us() * SAMPLE_RATE // _US
            while (missing := self._end(start_us) - position) > 0:
                count = min(missing, SAMPLE_RATE)
                yield position, self._silence(count)
                position += count

    def _end(self, start_us: int) -> int:
        """Return the position at which a loop ends."""
        return (start_us + self._loop.duration_us) * SAMPLE_RATE // _US

    def _resampled(self, frame: AudioFrame) -> Iterator[Samples]:
        """Yield a frame's samples as published. A file may change its rate and its channels at any frame."""
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        pieces = []
        if shape != self._shape:
            if self._resampler is not None:
                pieces += self._resampler.resample(None)
            layout = "mono" if self._channels == 1 else "stereo"
            self._shape, self._resampler = shape, AudioResampler(format="s16", layout=layout, rate=SAMPLE_RATE)
        assert self._resampler
        for piece in (*pieces, *self._resampler.resample(frame)):
            yield piece.to_ndarray().reshape(-1).astype(np.int16, copy=False)

    def _silence(self, count: int) -> Samples:
        return np.zeros(count * self._channels, np.int16)
