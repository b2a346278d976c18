"""Something like speech for the sound of every row: what an Opus encoder sends depends on it. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# The first three formants of vowels in Hz (Peterson, Barney: Control methods used in a study of the vowels, 1952).
_VOWELS = (
    (730, 1090, 2440),
    (530, 1840, 2480),
    (270, 2290, 3010),
    (570, 840, 2410),
    (300, 870, 2240),
    (660, 1720, 2410),
)
_FORMANT_WIDTH_HZ = 110.0
_HIGHEST_HZ = 5000
_SYLLABLE_S, _CONSONANT_S = 0.22, 0.06
_PAUSE_EVERY = 7  # syllables
_PITCH_HZ, _PITCH_RANGE_HZ = 115.0, 25.0

Samples = npt.NDArray[np.float64]


def voice(count: int, *, rate: int) -> Samples:
    """Return `count` samples between -1 and 1: syllables of a noise and a vowel, and pauses; always the same."""
    random = np.random.default_rng(1952)
    syllable = round(_SYLLABLE_S * rate)
    parts = [
        np.zeros(syllable) if number % _PAUSE_EVERY == _PAUSE_EVERY - 1 else _syllable(random, syllable, rate)
        for number in range(-(-count // syllable))
    ]
    whole: Samples = np.concatenate(parts)[:count]
    return whole / float(np.max(np.abs(whole)))


def _syllable(random: np.random.Generator, count: int, rate: int) -> Samples:
    noisy = round(_CONSONANT_S * rate)
    consonant = random.normal(0, 0.05, noisy) * np.hanning(noisy)
    begins_hz, ends_hz = (_PITCH_HZ + random.uniform(-_PITCH_RANGE_HZ, _PITCH_RANGE_HZ) for _ in range(2))
    pitch_hz = np.linspace(begins_hz, ends_hz, count - noisy)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / rate
    formants = np.array(_VOWELS[int(random.integers(len(_VOWELS)))])
    vowel = np.zeros(count - noisy)
    for harmonic in range(1, round(_HIGHEST_HZ / _PITCH_HZ)):
        off = (harmonic * _PITCH_HZ - formants) / _FORMANT_WIDTH_HZ
        vowel += np.sum(np.array((1.0, 0.5, 0.25)) / (1 + off**2)) * np.sin(harmonic * phase)
    return np.concatenate((consonant, vowel * np.hanning(len(vowel))))
