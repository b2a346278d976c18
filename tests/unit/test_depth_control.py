"""The depth of the audio queue controls the resampler: simulated with a source whose clock is off."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.tracks.depth_control import MAX_PPM, TARGET_S, DepthControl

_BLOCK_S = 0.020


def _simulate(*, clock_ppm: float, seconds: int, depth_s: float, jitter_s: float = 0.0) -> tuple[list[float], int]:
    """Return the depth before each block, and the number of changes of the pace.

    The source delivers a block every 20 ms of its own clock; the resampler makes it `pace` ppm shorter.
    """
    control = DepthControl()
    chance = random.Random(1)
    depths = []
    pace, orders, now = 0.0, 0, 0.0
    period_s = _BLOCK_S / (1 + clock_ppm / 1e6)
    for _ in range(int(seconds / period_s)):
        now += period_s
        depth_s = max(0.0, depth_s - period_s)
        seen_s = max(0.0, depth_s + chance.uniform(-jitter_s, jitter_s))
        depths.append(depth_s)
        if (ppm := control.measured(seen_s, now)) is not None:
            pace = ppm
            orders += 1
        depth_s += _BLOCK_S * (1 - pace / 1e6)
    return depths, orders


@pytest.mark.parametrize("clock_ppm", (-2000, -500, -100, 100, 500, 2000))
def test_a_clock_offset_causes_neither_overflow_nor_underrun(clock_ppm: float) -> None:
    depths, _ = _simulate(clock_ppm=clock_ppm, seconds=600, depth_s=0.045, jitter_s=0.005)
    settled = depths[len(depths) // 2 :]
    assert max(depths) < 0.080
    assert min(settled) > 0.005
    assert abs(sum(settled) / len(settled) - TARGET_S) < 0.006


def test_an_exact_clock_is_not_corrected() -> None:
    depths, orders = _simulate(clock_ppm=0, seconds=600, depth_s=0.045, jitter_s=0.005)
    assert orders == 0
    assert abs(sum(depths) / len(depths) - TARGET_S) < 0.002


@given(st.lists(st.floats(0, 1), min_size=1, max_size=500))
def test_the_pace_stays_within_bounds(depths: list[float]) -> None:
    control = DepthControl()
    for index, depth_s in enumerate(depths):
        ppm = control.measured(depth_s, index * 0.5)
        assert ppm is None or abs(ppm) <= MAX_PPM
