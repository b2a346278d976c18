"""The synthetic microphone: its tones, its beep, and its clock."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest

from device.clock import epoch_of_us, monotonic_us
from device.sources.tone import ToneSource

if TYPE_CHECKING:
    from device.media.block import Block

RATE = 48_000


def a_second(channels: int = 1) -> npt.NDArray[np.int16]:
    source = ToneSource(channels=channels)
    return np.concatenate([source.samples(first) for first in range(0, RATE, 960)])


def strongest_hz(samples: npt.NDArray[np.int16]) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * RATE / len(samples)


def test_a_beep_for_the_first_tenth_then_a_quiet_tone() -> None:
    second = a_second()
    beep, tone = second[:4800], second[4800:]
    assert strongest_hz(beep) == pytest.approx(1000, abs=10)
    assert strongest_hz(tone) == pytest.approx(440, abs=2)
    assert np.abs(beep).max() == pytest.approx(0.3 * 32767, rel=0.01)
    assert np.abs(tone).max() == pytest.approx(0.05 * 32767, rel=0.01)


def test_all_seconds_are_equal_and_continuous() -> None:
    source = ToneSource(channels=1)
    assert (source.samples(RATE - 480)[480:] == source.samples(0)[:480]).all()
    second = a_second().astype(int)
    assert abs(second[-1] - second[0]) <= 0.05 * 32767 * 2 * np.pi * 440 / RATE + 1


def test_both_channels_are_equal() -> None:
    stereo = a_second(2).reshape(-1, 2)
    assert (stereo[:, 0] == stereo[:, 1]).all()
    assert (stereo[:, 0] == a_second(1)).all()


def blocks(count: int, channels: int = 1) -> tuple[list[Block], list[int]]:
    arrived, got = [], []
    for block in islice(ToneSource(channels=channels).blocks(), count):
        got.append(block)
        arrived.append(monotonic_us())
    return got, arrived


@pytest.mark.parametrize("channels", (1, 2))
def test_blocks_of_20_ms_are_yielded_when_complete(channels: int) -> None:
    got, arrived = blocks(10, channels)
    assert {len(block.samples) for block in got} == {960 * 2 * channels}
    steps = np.diff([block.captured_at_us for block in got])
    assert (np.round(steps / 20_000) * 20_000 == steps).all()
    assert all(moment >= block.captured_at_us + 20_000 for moment, block in zip(arrived, got, strict=True))


def test_the_beep_begins_with_the_second() -> None:
    """In a little more than one second, the first loud sample after quiet ones is the second's first, within 2 ms."""
    got, _ = blocks(60)
    samples = np.concatenate([np.frombuffer(block.samples, np.int16) for block in got]).astype(float)
    starts = np.repeat([epoch_of_us(block.captured_at_us) for block in got], 960)
    moments = (starts + np.tile(np.arange(960), 60) * 1_000_000 / RATE) % 1_000_000
    loudness = np.convolve(np.abs(samples), np.ones(24) / 24, mode="same")  # half a period of the beep
    loud = loudness > 0.06 * 32767
    inside = (moments > 2_500) & (moments < 97_500)
    outside = (moments > 102_500) & (moments < 997_500)
    assert inside.any()
    assert loud[inside].mean() > 0.999
    assert not loud[outside].any()
