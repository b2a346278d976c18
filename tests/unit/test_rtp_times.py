"""Which time a unit gets in the room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.tracks.rtp_times import RtpTimes

_MS, _S = 1_000, 1_000_000
_PERIOD = 33_333


def fed(delays_ms: list[int]) -> list[int]:
    """Return by how many ms the times of units differ from their capture; each is captured a period after the other."""
    times = RtpTimes()
    found = []
    for number, delay_ms in enumerate(delays_ms):
        captured_us = 10 * _S + number * _PERIOD
        found.append((times.of(captured_us, captured_us + delay_ms * _MS) - captured_us) // _MS)
    return found


def test_the_time_is_that_of_the_capture_whatever_the_usual_delay_is() -> None:
    assert set(fed([5] * 100)) == {0}
    assert set(fed([400] * 100)) == {0}
    assert set(fed([20, 220] * 50)) == {0}  # jitter


def test_a_unit_that_was_held_for_a_pause_gets_the_time_of_its_arrival() -> None:
    found = fed([20] * 60 + [2020] + [20] * 60)
    assert found[60] == pytest.approx(2000, abs=1)
    assert set(found[:60]) == {0}
    # The units after it are not before it. Their true times are from the third second on.
    times = RtpTimes()
    times.of(10 * _S, 10 * _S + 20 * _MS)
    held = times.of(10 * _S + _PERIOD, 12 * _S + 20 * _MS)
    assert held == 12 * _S
    assert times.of(12 * _S + _PERIOD, 12 * _S + _PERIOD + 20 * _MS) == 12 * _S + _PERIOD


def test_a_delay_that_lasts_becomes_the_usual_one() -> None:
    found = fed([20] * 60 + [620] * 900)
    assert found[60] == pytest.approx(600, abs=2)
    assert set(found[-100:]) == {0}


def test_a_step_back_by_more_than_a_second_is_another_clock() -> None:
    times = RtpTimes()
    assert times.of(10 * _S, 10 * _S) == 10 * _S
    assert times.of(3 * _S, 3 * _S) == 3 * _S


@given(
    steps=st.lists(
        st.tuples(st.integers(-900 * _MS, 900 * _MS), st.integers(0, 3000 * _MS), st.integers(0, 100 * _MS)),
        max_size=50,
    )
)
def test_times_rise_by_a_millisecond_at_least_unless_a_clock_has_changed(steps: list[tuple[int, int, int]]) -> None:
    times = RtpTimes()
    captured_us = now_us = 100 * _S
    last_us = None
    for step, delay, passed in steps:
        captured_us += step
        now_us = max(now_us + passed, captured_us + delay)
        at_us = times.of(captured_us, now_us)
        if last_us is not None:
            assert at_us - last_us >= _MS or at_us - last_us <= -_S
        last_us = at_us
