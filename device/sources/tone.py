"""The synthetic microphone: a quiet 440 Hz tone, and a beep in the first 100 ms of each second."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from device.clock import epoch_of_us, monotonic_us
from device.media.block import BLOCK_MS, BLOCK_SAMPLES, SAMPLE_RATE, Block
from device.sources.pacing import Pacing, sleep_until_us

if TYPE_CHECKING:
    from collections.abc import Iterator

TONE_HZ, BEEP_HZ = 440, 1000
_TONE_LEVEL, _BEEP_LEVEL = 0.05, 0.3  # of full scale
_BEEP_SAMPLES = SAMPLE_RATE // 10
_MAX_OFF_SAMPLES = SAMPLE_RATE // 500  # 2 ms; correcting less is audible and has no use


class ToneSource:
    """Blocks paced by the monotonic clock. Each is yielded when its last sample would have been captured."""

    name = "tone"

    def __init__(self, *, channels: int) -> None:
        self._channels = channels
        # One second has whole periods of both tones: sample n of each wall-clock second is always the same.
        time_s = np.arange(SAMPLE_RATE) / SAMPLE_RATE
        second = _TONE_LEVEL * np.sin(2 * np.pi * TONE_HZ * time_s)
        second[:_BEEP_SAMPLES] = _BEEP_LEVEL * np.sin(2 * np.pi * BEEP_HZ * time_s[:_BEEP_SAMPLES])
        self._second = np.round(second * 32767).astype(np.int16)

    def blocks(self) -> Iterator[Block]:
        """Yield blocks of 20 ms without end, each when it is complete."""
        pacing = Pacing(rate=1000 / BLOCK_MS, started_at_us=monotonic_us())
        position = 0
        while True:
            _, begins_at_us = pacing.take(monotonic_us() - BLOCK_MS * 1000)
            sleep_until_us(begins_at_us + BLOCK_MS * 1000)
            wanted = _sample_of_second(begins_at_us)
            off = (wanted - position + SAMPLE_RATE // 2) % SAMPLE_RATE - SAMPLE_RATE // 2
            if abs(off) > _MAX_OFF_SAMPLES:
                position = wanted
            yield Block(samples=self.samples(position).tobytes(), captured_at_us=begins_at_us)
            position = (position + BLOCK_SAMPLES) % SAMPLE_RATE

    def samples(self, first: int) -> npt.NDArray[np.int16]:
        """Return 20 ms from this sample of the wall-clock second on, channels interleaved."""
        mono = self._second[np.arange(first, first + BLOCK_SAMPLES) % SAMPLE_RATE]
        return np.repeat(mono, self._channels)

    def pace(self, ppm: float) -> None:
        """Do nothing: this source uses our clock."""


def _sample_of_second(moment_us: int) -> int:
    return round(epoch_of_us(moment_us) % 1_000_000 * SAMPLE_RATE / 1_000_000) % SAMPLE_RATE
