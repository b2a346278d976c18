"""The tone that `check` plays on the speaker, and whether the microphone's sound has it. Pure.

No noise of a room sounds like it: it is steady for most of a second at one frequency, which is neither a harmonic of
the mains (50 or 60 Hz) nor a note of music, and it is far stronger than the frequencies beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from device.media.block import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

TONE_HZ = 2125  # midway between harmonics of 50 Hz; the nearest note is 2093 Hz; small speakers are loud there
TONE_MS = 800
TONE_DB = -12.0  # of full scale
_FADE_MS = 20  # a speaker clicks without it
_FULL_SCALE = 32768
_WINDOW, _STEP = SAMPLE_RATE // 5, SAMPLE_RATE // 20  # in samples; a window hears 10 Hz to each side
_BESIDE_HZ = (-120, -80, -40, 40, 80, 120)
_ABOVE_DB = 10.0  # over the noise before the tone, and over the frequencies beside it
_LEAST_DB = -84.0  # below it is the rounding of 16 bits
_STEADY_DB = 4.0
_IN_A_ROW = 10  # of the 13 windows that are full of the tone
_SILENCE_DB = -120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """The level of the tone, and that of the noise before it at the same frequency: decibels below full scale.

    level_db: None if it was not heard
    """

    level_db: float | None
    noise_db: float

    def __str__(self) -> str:
        if self.level_db is None:
            return f"not heard, the noise is at {self.noise_db:.0f} dB"
        return f"heard at {self.level_db:.0f} dB, the noise is at {self.noise_db:.0f} dB"


def tone() -> bytes:
    """Return the tone: one channel of 16 bits at 48 kHz."""
    count = SAMPLE_RATE * TONE_MS // 1000
    samples = np.sin(2 * np.pi * TONE_HZ * np.arange(count) / SAMPLE_RATE) * 10 ** (TONE_DB / 20)
    fade = np.linspace(0, 1, SAMPLE_RATE * _FADE_MS // 1000)
    samples[: len(fade)] *= fade
    samples[-len(fade) :] *= fade[::-1]
    return np.round(samples * (_FULL_SCALE - 1)).astype(np.int16).tobytes()


def heard(before: bytes, during: bytes, *, channels: int) -> Hearing:
    """Return whether the tone is in the sound that was captured while it was played, and not in the sound before.

    Both are blocks of the microphone, of 16 bits at 48 kHz. The tone may begin at any time in `during`.
    """
    noise = max(_levels(before, channels)[:, 0], default=_SILENCE_DB)
    row: list[float] = []
    best: list[float] = []
    for level, *beside in _levels(during, channels):
        row = [*row, level] if level >= max(_LEAST_DB, max(noise, *beside) + _ABOVE_DB) else []
        while row and max(row) - min(row) > _STEADY_DB:
            row = row[1:]
        best = max(best, row, key=len)
    return Hearing(level_db=float(np.median(best)) if len(best) >= _IN_A_ROW else None, noise_db=float(noise))


def _levels(samples: bytes, channels: int) -> Floats:
    """Return the levels in each window, in decibels: of the tone's frequency, and of those beside it."""
    mono = np.frombuffer(samples, np.int16).reshape(-1, channels).mean(axis=1)
    windows = [mono[at : at + _WINDOW] for at in range(0, len(mono) - _WINDOW + 1, _STEP)]
    if not windows:
        return np.empty((0, 1 + len(_BESIDE_HZ)))
    amplitudes = np.abs(np.stack(windows) @ _waves())
    levels: Floats = 20 * np.log10(np.maximum(amplitudes, 10 ** (_SILENCE_DB / 20)))
    return levels


@cache
def _waves() -> npt.NDArray[np.complex128]:
    """Return a column for each frequency: the product with a window of a full-scale sine has the absolute value 1."""
    hann, time_s = np.hanning(_WINDOW), np.arange(_WINDOW) / SAMPLE_RATE
    frequencies = TONE_HZ + np.array((0, *_BESIDE_HZ))
    turning = np.exp(-2j * np.pi * np.outer(time_s, frequencies))
    waves: npt.NDArray[np.complex128] = turning * (hann * 2 / hann.sum() / _FULL_SCALE)[:, np.newaxis]
    return waves
