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
from device.sources.resampling import Resampler

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from device.sources.network_input import NetworkInput

    Samples = npt.NDArray[np.int16]

_US = 1_000_000
# Within this distance samples are taken as continuous; the daemon follows the slow drift that is left.
_TOLERANCE_US = 60_000
# A block has what has arrived, so that no sample waits for the next packet; but it is neither tiny nor a long one.
_LEAST_SAMPLES, _MOST_SAMPLES = BLOCK_SAMPLES // 2, 2 * BLOCK_SAMPLES
_LONGEST_SILENCE_US = 1_000_000


class NetworkSound:
    """Blocks of 10 to 40 ms as they arrive. What was lost on the way is silence, so that sound stays in step."""

    name = "stream"

    def __init__(self, source: NetworkInput, *, channels: int) -> None:
        self._source, self._channels = source, channels
        self._shape: object = None
        self._resampler: AudioResampler | None = None
        self._pacer: Resampler | None = None

    def blocks(self) -> Iterator[Block]:
        """Yield blocks without end. Raises SourceError when the stream ends."""
        least, most = _LEAST_SAMPLES * self._channels, _MOST_SAMPLES * self._channels
        pending, next_us = np.zeros(0, np.int16), -1
        for first_us, piece in self._pieces():
            gap_us = first_us - next_us if next_us >= 0 else 0
            if _TOLERANCE_US < gap_us <= _LONGEST_SILENCE_US:
                silence = np.zeros(gap_us * SAMPLE_RATE // _US * self._channels, np.int16)
                pending = np.concatenate((pending, silence))
            elif abs(gap_us) > _TOLERANCE_US:
                pending = np.zeros(0, np.int16)
            # By the camera's times, not by counting samples: the daemon sees a clock that is off by the difference.
            at_us, next_us = first_us - self._lasting_us(len(pending)), first_us + self._lasting_us(len(piece))
            pending = np.concatenate((pending, self._paced(piece)))
            while len(pending) >= least:
                block, pending = pending[:most], pending[most:]
                if self._source.paced:
                    sleep_until_us(at_us)
                yield Block(samples=block.tobytes(), captured_at_us=max(0, at_us))
                at_us += self._lasting_us(len(block))

    def pace(self, ppm: float) -> None:
        """Correct the clock of the camera's sound, which is faster than ours by this many parts per million."""
        self._pacer = self._pacer or Resampler(rate=SAMPLE_RATE, channels=self._channels)
        self._pacer.pace(ppm)

    def _paced(self, samples: Samples) -> Samples:
        return samples if self._pacer is None else np.frombuffer(self._pacer.process(samples.tobytes()), np.int16)

    def _lasting_us(self, count: int) -> int:
        return count // self._channels * _US // SAMPLE_RATE

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
                    if len(samples):
                        yield min(at_us, monotonic_us() + _US), samples
                    at_us += self._lasting_us(len(samples))

    def _resampled(self, frame: AudioFrame) -> Samples:
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._shape:
            layout = "mono" if self._channels == 1 else "stereo"
            self._shape, self._resampler = shape, AudioResampler(format="s16", layout=layout, rate=SAMPLE_RATE)
        assert self._resampler
        pieces = [each.to_ndarray().reshape(-1) for each in self._resampler.resample(frame)]
        return np.concatenate(pieces).astype(np.int16, copy=False) if pieces else np.zeros(0, np.int16)
