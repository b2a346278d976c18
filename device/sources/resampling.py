"""Converts sound from one sample rate and clock to another, with FFmpeg's aresample."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

from device.errors import SourceError
from device.media.block import SAMPLE_RATE

# aresample stretches the sound to match its timestamps, by up to this many samples a second (4000 ppm).
_MAX_COMPENSATION = 192
_MIN_COMPENSATION_S = 0.0005
_US = 1_000_000


class Resampler:
    """Takes blocks of 16-bit interleaved samples at `rate`. Its output is at most one block late."""

    def __init__(self, *, rate: int, channels: int, output_rate: int = SAMPLE_RATE) -> None:
        self._rate, self._output_rate = rate, output_rate
        self._layout = "mono" if channels == 1 else "stereo"
        self._channels = channels
        self._ppm = 0.0
        self._pts_us = 0.0
        self._returned = 0
        graph = av.filter.Graph()
        source = graph.add_abuffer(
            sample_rate=rate, format="s16", layout=self._layout, channels=channels, time_base=Fraction(1, _US)
        )
        resample = graph.add("aresample", f"{output_rate}:async={_MAX_COMPENSATION}:min_comp={_MIN_COMPENSATION_S}")
        shape = graph.add("aformat", f"sample_fmts=s16:sample_rates={output_rate}:channel_layouts={self._layout}")
        sink = graph.add("abuffersink")
        source.link_to(resample)
        resample.link_to(shape)
        shape.link_to(sink)
        graph.configure()
        self._graph, self._source, self._sink = graph, source, sink

    def pace(self, ppm: float) -> None:
        """Set by how much the source is faster than the clock of the output, in parts per million."""
        self._ppm = ppm

    @property
    def held_us(self) -> int:
        """How much of the sound is still in here: the next samples were captured before those of the next block."""
        return round(self._pts_us) - self._returned * _US // self._output_rate

    def process(self, samples: bytes) -> bytes:
        """Return the samples that are ready; for the first block they may be empty."""
        array = np.frombuffer(samples, np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(array, format="s16", layout=self._layout)
        frame.sample_rate = self._rate
        frame.time_base = Fraction(1, _US)
        frame.pts = round(self._pts_us)
        self._pts_us += frame.samples / self._rate * _US * (1 - self._ppm / _US)
        self._source.push(frame)
        ready = bytearray()
        while True:
            try:
                piece = self._sink.pull()
            except (BlockingIOError, av.error.EOFError):
                return bytes(ready)
            if not isinstance(piece, av.AudioFrame):
                raise SourceError("the resampler yields no sound", for_viewers="the sound cannot be resampled")
            self._returned += piece.samples
            ready += piece.to_ndarray().tobytes()
