"""The sound of a network stream: any codec of FFmpeg, as blocks at 48 kHz without gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from device.clock import monotonic_us
from device.media.block import BLOCK_SAMPLES, SAMPLE_RATE, Block
from device.sources.opening import error_text
from device.sources.pacing import sleep_until_us

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from device.sources.network_input import NetworkInput

    Samples = npt.NDArray[np.int16]

_US = 1_000_000
# Within this distance samples are taken as continuous; the daemon follows the slow drift that is left.
_TOLERANCE_US = 60_000
_LONGEST_SILENCE_US = 1_000_000


class NetworkSound:
    """Blocks of 20 ms as they arrive. What was lost on the way is silence, so that sound stays in step."""

    name = "stream"

    def __init__(self, source: NetworkInput, *, channels: int) -> None:
        self._source, self._channels = source, channels
        self._shape: object = None
        self._resampler: AudioResampler | None = None

    def blocks(self) -> Iterator[Block]:
        """Yield blocks without end. Raises SourceError when the stream ends."""
        size = BLOCK_SAMPLES * self._channels
        pending, at_us = np.zeros(0, np.int16), -1
        for first_us, samples in self._pieces():
            expected_us = at_us + len(pending) // self._channels * _US // SAMPLE_RATE
            distance_us = first_us - expected_us
            if at_us < 0 or abs(distance_us) > _TOLERANCE_US:
                silence_us = distance_us if at_us >= 0 and 0 < distance_us <= _LONGEST_SILENCE_US else 0
                if silence_us:
                    silence = np.zeros(silence_us * SAMPLE_RATE // _US * self._channels, np.int16)
                    pending = np.concatenate((pending, silence))
                else:
                    pending, at_us = np.zeros(0, np.int16), first_us
            pending = np.concatenate((pending, samples))
            while len(pending) >= size:
                block, pending = pending[:size], pending[size:]
                if self._source.paced:
                    sleep_until_us(at_us)
                yield Block(samples=block.tobytes(), captured_at_us=max(0, at_us))
                at_us += BLOCK_SAMPLES * _US // SAMPLE_RATE

    def pace(self, ppm: float) -> None:
        """Do nothing: the times of the stream are mapped to our own clock."""

    def _pieces(self) -> Iterator[tuple[int, Samples]]:
        """Yield interleaved samples with the capture time of the first one."""
        for packet, captured_at_us in self._source.packets():
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:  # after a lost packet
                continue
            except av.error.FFmpegError as error:
                raise self._source.refused(f"its sound cannot be decoded: {error_text(error)}") from None
            at_us = captured_at_us
            for frame in frames:
                if isinstance(frame, AudioFrame):
                    samples = self._resampled(frame)
                    yield min(at_us, monotonic_us() + _US), samples
                    at_us += len(samples) // self._channels * _US // SAMPLE_RATE

    def _resampled(self, frame: AudioFrame) -> Samples:
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._shape:
            layout = "mono" if self._channels == 1 else "stereo"
            self._shape, self._resampler = shape, AudioResampler(format="s16", layout=layout, rate=SAMPLE_RATE)
        assert self._resampler
        pieces = [each.to_ndarray().reshape(-1) for each in self._resampler.resample(frame)]
        return np.concatenate(pieces).astype(np.int16, copy=False) if pieces else np.zeros(0, np.int16)
