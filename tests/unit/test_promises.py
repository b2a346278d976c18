"""Is this process still worth a ping of the watchdog? Virtual time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from device.health.promises import Promises

NAMES = ("room", "camera", "microphone")


def test_a_part_that_keeps_silent_is_named_until_it_is_heard_of_again() -> None:
    promises = Promises()
    assert promises.broken(1e9) == []
    promises.give("camera", now=100, within_s=30)
    promises.give("room", now=100, within_s=90)
    assert promises.broken(130) == []
    assert promises.broken(130.1) == ["camera"]
    assert promises.broken(190.1) == ["camera", "room"]
    promises.give("camera", now=200, within_s=30)
    assert promises.broken(200) == ["room"]


def test_nobody_is_waited_for_longer_than_two_minutes() -> None:
    promises = Promises()
    promises.give("room", now=0, within_s=86400)
    assert promises.broken(120) == []
    assert promises.broken(120.1) == ["room"]


def test_a_shorter_promise_takes_the_place_of_a_longer_one() -> None:
    promises = Promises()
    promises.give("camera", now=0, within_s=100)
    promises.give("camera", now=1, within_s=5)
    assert promises.broken(6.1) == ["camera"]


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.floats(0, 50), st.floats(0, 500)), max_size=60), st.floats(0, 300))
def test_broken_are_those_and_only_those_that_are_overdue(
    given_: list[tuple[str, float, float]], later_s: float
) -> None:
    promises, now, due_at = Promises(), 0.0, dict[str, float]()
    for name, pause_s, within_s in given_:
        now += pause_s
        promises.give(name, now=now, within_s=within_s)
        due_at[name] = now + min(within_s, 120.0)
    now += later_s
    assert set(promises.broken(now)) == {name for name in NAMES if due_at.get(name, now) < now}
