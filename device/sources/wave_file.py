"""Plays a WAV file that has the daemon's sample format already, without FFmpeg."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import TYPE_CHECKING

from device.clock import monotonic_us
from device.media.block import BLOCK_MS, BLOCK_SAMPLES, SAMPLE_BYTES, SAMPLE_RATE, Block
from device.sources.pacing import sleep_until_us

if TYPE_CHECKING:
    from collections.abc import Iterator

_US = 1_000_000
_MIN_SAMPLES = SAMPLE_RATE // 10


class WaveFile:
    """The samples of a file in a loop on the monotonic clock: loop n begins at epoch + n * duration."""

    name = "file"

    @classmethod
    def open_native(cls, *, path: str, channels: int, epoch_us: int) -> WaveFile | None:
        """Return the file if it is 48 kHz, 16 bit, and has this number of channels; None for any other file."""
        try:
            file = wave.open(path, "rb")  # noqa: SIM115  # stays open until the worker ends
            stored = Path(path).stat().st_size
        except (wave.Error, EOFError, OSError):
            return None
        form = (file.getframerate(), file.getsampwidth(), file.getnchannels())
        whole = stored >= file.getnframes() * SAMPLE_BYTES * channels  # a truncated file has a header for more
        if form == (SAMPLE_RATE, SAMPLE_BYTES, channels) and whole and file.getnframes() >= _MIN_SAMPLES:
            return cls(file, epoch_us=epoch_us)
        file.close()
        return None

    def __init__(self, file: wave.Wave_read, *, epoch_us: int) -> None:
        self._file = file
        self._epoch_us = epoch_us

    def blocks(self) -> Iterator[Block]:
        """Yield blocks of 20 ms without end, each when its first sample is due, like pictures."""
        position = max(0, monotonic_us() - self._epoch_us) * SAMPLE_RATE // _US
        while True:
            captured_at_us = self._epoch_us + position * _US // SAMPLE_RATE
            if captured_at_us + 2 * BLOCK_MS * 1000 >= monotonic_us():
                samples = self._read(position)
                sleep_until_us(captured_at_us)
                yield Block(samples=samples, captured_at_us=captured_at_us)
            position += BLOCK_SAMPLES

    def whole(self, most: int) -> bytes:
        """Return the first `most` samples of one loop."""
        self._file.rewind()
        return self._file.readframes(most)

    def pace(self, ppm: float) -> None:
        """Do nothing: a file plays on our own clock."""

    def _read(self, position: int) -> bytes:
        """Return the block at this position, in samples since the first loop; the file's end continues at its start."""
        total = self._file.getnframes()
        self._file.setpos(position % total)
        samples = self._file.readframes(BLOCK_SAMPLES)
        size = BLOCK_SAMPLES * SAMPLE_BYTES * self._file.getnchannels()
        if len(samples) < size:
            self._file.rewind()
            samples += self._file.readframes(BLOCK_SAMPLES)
        return samples[:size]
