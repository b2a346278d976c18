"""Resampling from any rate and clock to 48 kHz."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from device.sources.resampling import Resampler

if TYPE_CHECKING:
    import numpy.typing as npt

    Samples = npt.NDArray[np.int16]

_RATE = 48_000


def _sine(rate: int, hz: float, seconds: float, channels: int = 1) -> Samples:
    wave = 10_000 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)
    return np.repeat(wave.astype(np.int16), channels)


def _through(resampler: Resampler, samples: Samples, size: int) -> Samples:
    pieces = [resampler.process(samples[at : at + size].tobytes()) for at in range(0, len(samples), size)]
    return np.frombuffer(b"".join(pieces), np.int16)


@pytest.mark.parametrize("rate", (16_000, 44_100, 96_000))
@pytest.mark.parametrize("channels", (1, 2))
def test_a_tone_keeps_its_frequency(rate: int, channels: int) -> None:
    out = _through(Resampler(rate=rate, channels=channels), _sine(rate, 440, 3, channels), rate // 50 * channels)
    mono = out[::channels][_RATE : 2 * _RATE].astype(float)
    spectrum = np.abs(np.fft.rfft(mono * np.hanning(len(mono))))
    assert abs(int(np.argmax(spectrum)) - 440) <= 1
    assert abs(len(out) / channels - 3 * _RATE) < _RATE // 50


@pytest.mark.parametrize("ppm", (-2000.0, -300.0, 300.0, 2000.0))
def test_the_pace_changes_the_length_without_a_click(ppm: float) -> None:
    resampler = Resampler(rate=_RATE, channels=1)
    resampler.pace(ppm)
    out = _through(resampler, _sine(_RATE, 440, 60), 960)
    assert abs(len(out) - 60 * _RATE * (1 - ppm / 1e6)) < 400
    # The largest step of this tone is 576; a lost or doubled block would cause thousands.
    assert np.abs(np.diff(out.astype(int))).max() < 650
