"""How many calls from the room are taken, in virtual time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from device.control import call_limits
from device.control.call_limits import CallLimits, TokenBucket


@given(gaps=st.lists(st.floats(0, 3), min_size=1, max_size=200), rate=st.floats(0.1, 20), burst=st.integers(1, 20))
def test_a_bucket_never_allows_more_than_its_burst_and_its_rate(gaps: list[float], rate: float, burst: int) -> None:
    bucket, now, taken = TokenBucket(rate=rate, burst=burst), 0.0, 0
    for gap in gaps:
        now += gap
        taken += bucket.take(now)
    assert taken <= burst + rate * (now - gaps[0]) + 1e-6


def test_a_caller_has_a_burst_then_a_rate() -> None:
    limits = CallLimits()
    assert sum(not limits.too_fast("ops-1", 5.0) for _ in range(1000)) == call_limits.CALLER_BURST
    taken = sum(not limits.too_fast("ops-1", 5.0 + tick / 1000) for tick in range(10_000))
    assert 49 <= taken <= 50
    assert not limits.too_fast("ops-2", 5.0)


def test_a_clock_that_steps_back_gives_nothing_and_takes_nothing() -> None:
    bucket = TokenBucket(rate=1, burst=1)
    assert bucket.take(10.0)
    assert not bucket.take(5.0)
    assert not bucket.take(10.5)
    assert bucket.take(11.0)


def test_all_callers_together_have_a_rate() -> None:
    limits = CallLimits()
    assert sum(not limits.all_too_fast(1.0) for _ in range(1000)) == call_limits.ALL_BURST


def test_what_is_known_of_callers_is_bounded() -> None:
    limits = CallLimits()
    for number in range(10_000):
        limits.too_fast(f"caller-{number}", 1.0)
    assert len(limits._callers) == call_limits._MAX_CALLERS


def test_calls_under_way_are_bounded_for_each_caller_and_for_all() -> None:
    limits = CallLimits()
    assert [limits.begin("a") for _ in range(5)] == [True] * 4 + [False]
    assert [limits.begin("b") for _ in range(5)] == [True] * 4 + [False]
    assert not limits.begin("c")
    limits.end("a")
    assert limits.begin("c")
    for caller in ("a", "a", "a", "b", "b", "b", "b", "c"):
        limits.end(caller)
    assert not limits._under_way


def test_a_flood_of_refusals_leaves_few_log_lines_and_their_number() -> None:
    limits = CallLimits()
    logged = [limits.unlogged(tick / 1000) for tick in range(10_000)]
    counts = [each for each in logged if each is not None]
    assert len(counts) <= call_limits._LOG_BURST + 10
    missing = limits._unlogged
    assert sum(counts) + len(counts) + missing == 10_000
