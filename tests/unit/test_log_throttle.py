"""A server that is unreachable for a night does not fill the journal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from device.log_throttle import LogThrottle


def test_a_failure_that_lasts_a_night_is_a_few_dozen_lines() -> None:
    throttle = LogThrottle()
    told = [count for second in range(0, 8 * 3600, 15) if (count := throttle.count_to_log("refused", float(second)))]
    assert told[:5] == [1, 2, 4, 8, 16]
    assert len(told) < 80
    assert told[-1] > 1800


def test_another_event_is_logged_at_once() -> None:
    throttle = LogThrottle()
    assert [throttle.count_to_log(what, 0.0) for what in ("a", "a", "a", "b", "a")] == [1, 2, 0, 1, 1]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 1000)), max_size=300))
def test_counts_are_right_and_silence_is_bounded(events: list[tuple[str, float]]) -> None:
    throttle, now, count, last, silent_since = LogThrottle(), 0.0, 0, "", 0.0
    for what, pause_s in events:
        now += pause_s
        count = count + 1 if what == last else 1
        last = what
        told = throttle.count_to_log(what, now)
        assert told in (0, count)
        if told:
            silent_since = now
        else:
            assert now - silent_since < 600
