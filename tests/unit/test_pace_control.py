"""The lead of samples over their capture times controls the resampler: simulated with a source whose clock is off."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.media.block import BLOCK_SAMPLES, SAMPLE_RATE
from device.tracks.pace_control import MAX_PPM, PaceControl
from device.tracks.sound_timeline import SoundTimeline

_BLOCK_S = 0.020


def _simulate(*, clock_ppm: float, seconds: int, jitter_s: float = 0.0) -> tuple[list[float], int, int]:
    """Return the lead before each block in seconds, the number of changes of the pace, and what was dropped or filled.

    The source delivers a block every 20 ms of its own clock; the resampler makes it `pace` ppm shorter. Capture times
    are too late by up to `jitter_s`.
    """
    control, timeline = PaceControl(), SoundTimeline(started_at_us=0)
    chance = random.Random(1)
    leads: list[float] = []
    pace, orders, changed, owed = 0.0, 0, 0, 0.0
    for number in range(int(seconds / _BLOCK_S)):
        captured_s = number * _BLOCK_S / (1 + clock_ppm / 1e6)
        now = captured_s + _BLOCK_S + jitter_s
        seen_us = round((captured_s + chance.uniform(0, jitter_s)) * 1e6)
        lead_us = timeline.lead_us(seen_us)
        leads.append(timeline.lead_us(round(captured_s * 1e6)) / 1e6)
        owed += BLOCK_SAMPLES * (1 - pace / 1e6)
        count, owed = int(owed), owed - int(owed)
        silence, skip = timeline.block(seen_us, count, now_us=round(now * 1e6), settling=False, is_quiet=lambda: False)
        changed += (silence + skip) if number else 0
        if (ppm := control.measured(lead_us / 1e6, now)) is not None:
            pace = ppm
            orders += 1
    return leads, orders, changed


@pytest.mark.parametrize(
    ("clock_ppm", "jitter_s", "seconds"),
    ((-2000, 0.02, 300), (2000, 0.02, 300), (2000, 0.0, 300), (-100, 0.02, 600), (500, 0.02, 1800)),
)
def test_a_clock_offset_drops_nothing_and_leaves_no_skew(clock_ppm: float, jitter_s: float, seconds: int) -> None:
    leads, _, changed = _simulate(clock_ppm=clock_ppm, seconds=seconds, jitter_s=jitter_s)
    settled = leads[len(leads) // 3 :]
    assert changed == 0
    assert max(map(abs, leads)) < 0.045
    assert abs(sum(settled) / len(settled)) < 0.012
    assert max(settled) - min(settled) < 0.012


def test_an_exact_clock_is_not_corrected() -> None:
    _, orders, changed = _simulate(clock_ppm=0, seconds=600, jitter_s=0.02)
    assert (orders, changed) == (0, 0)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=500))
def test_the_pace_stays_within_bounds(leads: list[float]) -> None:
    control = PaceControl()
    for index, lead_s in enumerate(leads):
        ppm = control.measured(lead_s, index * 0.5)
        assert ppm is None or abs(ppm) <= MAX_PPM


def test_a_window_does_not_span_a_pause() -> None:
    control = PaceControl()
    control.measured(0.5, 0.0)
    control.interrupted()
    assert [control.measured(0.0, 1.0 + 0.1 * index) for index in range(60)] == [None] * 60


def test_the_sample_rate_is_that_of_the_blocks() -> None:
    assert BLOCK_SAMPLES / SAMPLE_RATE == _BLOCK_S
