"""The times of packets and frames, against exact fractions."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from device.sources.packet_times import StoredTimes

TICKS = st.none() | st.integers(-(2**40), 2**40)


@dataclass(slots=True, kw_only=True)
class Stored:
    pts: int | None
    dts: int | None
    duration: int
    time_base: Fraction | None


@given(
    pts=TICKS,
    dts=TICKS,
    duration=st.integers(0, 2**30),
    base=st.fractions(Fraction(1, 90_000), 1, max_denominator=90_000),
    by_decoding=st.booleans(),
)
def test_times_are_those_of_exact_fractions_to_the_microsecond(
    *, pts: int | None, dts: int | None, duration: int, base: Fraction, by_decoding: bool
) -> None:
    times = StoredTimes(origin_us=1000, period_us=40_000, next_us=7, by_decoding=by_decoding)
    at_us = times.of(Stored(pts=pts, dts=dts, duration=duration, time_base=base))
    ticks = dts if by_decoding or pts is None else pts
    if ticks is None:
        assert at_us == 7
    else:
        assert abs(at_us + 1000 - ticks * base * 1_000_000) <= Fraction(1, 2)
    assert times.next_us == at_us + (int(duration * base * 1_000_000) or 40_000)


def test_what_has_no_time_base_follows_the_one_before() -> None:
    times = StoredTimes(origin_us=0, period_us=40_000)
    stored = Stored(pts=None, dts=None, duration=0, time_base=None)
    assert [times.of(stored) for _ in range(3)] == [0, 40_000, 80_000]
