"""Times of network streams on the monotonic clock: jitter does not shake them, drift and jumps are followed."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from device.sources.arrival_clock import ArrivalClock, Backlog, PlayoutClock

PERIOD_US = 33_333


def mapped(clock: ArrivalClock, *, count: int, jitter_us: int, drift_ppm: float, seed: int = 1) -> list[int]:
    """Return by how much each mapped time differs from the true one, for packets that travel at least 5 ms."""
    chance = random.Random(seed)
    errors = []
    for number in range(count):
        true_us = 10_000_000 + number * PERIOD_US
        stream_us = int(number * PERIOD_US * (1 + drift_ppm / 1e6))
        clock.arrived(stream_us, true_us + 5_000 + chance.randrange(jitter_us + 1))
        errors.append(clock.captured_at_us(stream_us) - true_us)
    return errors


def test_jitter_of_100_ms_moves_the_times_by_a_few_milliseconds() -> None:
    errors = mapped(ArrivalClock(), count=3000, jitter_us=100_000, drift_ppm=0)
    settled = errors[300:]
    assert max(settled) - min(settled) < 8_000


@given(st.floats(-500, 500), st.integers(0, 99))
def test_drift_is_followed_without_growing_lateness(drift_ppm: float, seed: int) -> None:
    errors = mapped(ArrivalClock(), count=2000, jitter_us=20_000, drift_ppm=drift_ppm, seed=seed)
    assert all(-15_000 <= error <= 35_000 for error in errors[300:])


@given(st.lists(st.tuples(st.integers(-(10**15), 10**15), st.integers(0, 10**6)), max_size=50))
def test_any_times_of_a_stream_keep_the_mapped_ones_near_the_present(packets: list[tuple[int, int]]) -> None:
    clock, now_us = ArrivalClock(), 10**9
    for stream_us, later_us in packets:
        now_us += later_us
        clock.arrived(stream_us, now_us)
        assert clock.captured_at_us(stream_us) <= now_us


def test_a_jump_of_the_senders_clock_is_followed_at_once() -> None:
    for jump_us in (-3_600_000_000, 3_600_000_000):
        clock = ArrivalClock()
        clock.arrived(0, 1_000_000)
        clock.arrived(jump_us, 1_033_000)
        assert clock.captured_at_us(jump_us) == 1_033_000


def test_what_arrived_before_a_stream_was_read_is_left_out_and_nothing_later() -> None:
    backlog = Backlog()
    packets = [(number * 20_000, 1_000_000 + number * 100) for number in range(50)]  # a second of sound at once
    packets += [(number * 20_000, number * 20_000 + 30_000) for number in range(50, 60)]
    packets += [(number * 20_000, 1_300_000) for number in range(60, 65)]  # and again after a jam on the way
    assert [number for number, packet in enumerate(packets) if not backlog.has(*packet)] == list(range(50, 65))


def test_a_recording_plays_at_its_own_pace_and_waits_for_what_is_late() -> None:
    clock = PlayoutClock()
    for number in range(10):
        clock.arrived(number * PERIOD_US, 5_000_000)  # all at once
    assert clock.captured_at_us(9 * PERIOD_US) == 5_000_000 + 9 * PERIOD_US
    clock.arrived(10 * PERIOD_US, 9_000_000)
    assert clock.captured_at_us(10 * PERIOD_US) == 9_000_000
