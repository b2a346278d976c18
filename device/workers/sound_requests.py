"""What the daemon asks of every worker of sound: its pace and its gain."""

from __future__ import annotations

from typing import Protocol

from device.ipc.messages import SetGain, SetPace


class Clock(Protocol):
    """What captures or plays by a clock of its own."""

    def pace(self, ppm: float) -> None:
        """Correct this clock, by parts per million."""


class Gain:
    """Amplifies samples of 16 bits by a gain in decibels, which may change."""

    def __init__(self, gain_db: float) -> None:
        self._factor = 1.0
        self.set(gain_db)

    def set(self, gain_db: float) -> None:
        self._factor = 10 ** (gain_db / 20)

    def amplified(self, samples: bytes) -> bytes:
        if self._factor == 1:
            return samples
        import numpy as np  # without gain a microphone needs no numpy

        amplified = np.frombuffer(samples, np.int16) * self._factor
        return bytes(np.clip(amplified, -32768, 32767).astype(np.int16))


def carry_out(request: object, *, clock: Clock, gain: Gain, of: str) -> str:
    """Carry out one request to the worker `of` a microphone or speaker; return what is wrong, or an empty text."""
    match request:
        case SetPace(ppm=ppm):
            clock.pace(ppm)
            return ""
        case SetGain(gain_db=gain_db):
            gain.set(gain_db)
            return ""
    return f"a {of} does not support this request"
