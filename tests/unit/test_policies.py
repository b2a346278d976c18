"""Pure decisions, in virtual time: when to try again, when a frame is due."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from device.backoff import Backoff
from device.sources.pacing import Pacing

if TYPE_CHECKING:
    from collections.abc import Callable

US = 1_000_000


def backoff(uniform: Callable[[float, float], float], **changes: float) -> Backoff:
    return Backoff(**({"base_s": 0.5, "cap_s": 30.0, "reset_after_s": 120.0} | changes), uniform=uniform)


def test_the_ceiling_doubles_up_to_the_cap() -> None:
    policy = backoff(lambda low, high: high - low)
    assert [policy.next_delay_s(went_well_for_s=0) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_full_jitter_begins_at_nothing() -> None:
    policy = backoff(lambda low, _high: low)
    assert [policy.next_delay_s(went_well_for_s=0) for _ in range(3)] == [0, 0, 0]


def test_only_a_long_success_starts_anew() -> None:
    policy = backoff(lambda _low, high: high)
    for _ in range(5):
        policy.next_delay_s(went_well_for_s=0)
    assert policy.next_delay_s(went_well_for_s=119.9) == 16
    assert policy.next_delay_s(went_well_for_s=120.0) == 0.5
    assert policy.next_delay_s(went_well_for_s=0) == 1


@given(st.lists(st.floats(0, 1e6), max_size=60), st.floats(0, 1), st.floats(0.01, 10), st.floats(0.01, 100))
def test_a_delay_stays_within_its_bounds(worked: list[float], chance: float, base_s: float, cap_s: float) -> None:
    policy = backoff(lambda low, high: low + chance * (high - low), base_s=base_s, cap_s=cap_s)
    for went_well_for_s in worked:
        assert 0 <= policy.next_delay_s(went_well_for_s=went_well_for_s) <= cap_s


def test_months_of_failures_do_not_overflow() -> None:
    policy = backoff(lambda _low, high: high)
    assert {policy.next_delay_s(went_well_for_s=0) for _ in range(100_000)} == {0.5, 1, 2, 4, 8, 16, 30}


RATES = st.sampled_from((1, 5, 24, 25, 29.97, 30, 50, 60, 120)) | st.floats(0.5, 240)
STARTS = st.integers(0, 10**15)


@given(rate=RATES, start=STARTS, waits=st.lists(st.integers(0, 3 * US), min_size=1, max_size=60))
def test_ticks_go_on_never_back_and_never_too_late(rate: float, start: int, waits: list[int]) -> None:
    """The consumer takes the next tick, sleeps until it is due, and is then busy for a while."""
    pacing = Pacing(rate=rate, started_at_us=start)
    now, last, taken = start, -1, 0
    for busy_us in waits:
        tick, due_us = pacing.take(now)
        assert tick > last
        assert due_us == pacing.due_at_us(tick)
        assert now - due_us <= US / rate + 2  # what is over by more than a period is left out
        assert due_us - now <= US / rate + 2  # and nobody waits for more than one
        last, taken = tick, taken + 1
        now = max(now, due_us) + busy_us
    assert pacing.missed == last + 1 - taken


@given(rate=RATES, start=STARTS)
def test_a_consumer_in_time_misses_nothing_and_never_spins(rate: float, start: int) -> None:
    pacing = Pacing(rate=rate, started_at_us=start)
    now = start
    dues = []
    for expected in range(50):
        tick, due_us = pacing.take(now)
        assert tick == expected
        now = max(now, due_us)
        dues.append(due_us)
    assert pacing.missed == 0
    assert all(US / rate - 1 <= later - sooner <= US / rate + 1 for sooner, later in pairwise(dues))


@given(rate=RATES, start=STARTS, hours=st.integers(0, 24 * 365))
def test_errors_do_not_add_up(rate: float, start: int, hours: int) -> None:
    tick = round(hours * 3600 * rate)
    assert abs(Pacing(rate=rate, started_at_us=start).due_at_us(tick) - start - tick * US / rate) <= 1


@given(rate=RATES, slept_us=st.integers(US, 10**13))
def test_a_long_sleep_costs_its_ticks_and_no_burst(rate: float, slept_us: int) -> None:
    pacing = Pacing(rate=rate, started_at_us=0)
    pacing.take(0)
    tick, due_us = pacing.take(slept_us)
    assert slept_us - due_us <= US / rate + 2
    assert pacing.missed == tick - 1
    now = max(slept_us, due_us)
    for _ in range(5):
        following, due_us = pacing.take(now)
        assert following == tick + 1
        tick, now = following, max(now, due_us)


def test_a_clock_that_stands_still_gives_each_tick_once() -> None:
    pacing = Pacing(rate=30, started_at_us=0)
    assert [pacing.take(0)[0] for _ in range(5)] == [0, 1, 2, 3, 4]
