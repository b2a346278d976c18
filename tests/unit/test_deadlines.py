"""The deadlines of the daemon's parts, in virtual time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from device.lifecycle.deadlines import Deadlines

NAMES = ("room", "camera", "microphone")


def test_a_part_misses_its_deadline_until_it_is_extended() -> None:
    deadlines = Deadlines()
    assert deadlines.missed(1e9) == []
    deadlines.give("camera", now=100, within_s=30)
    deadlines.give("room", now=100, within_s=90)
    assert deadlines.missed(130) == []
    assert deadlines.missed(130.1) == ["camera"]
    assert deadlines.missed(190.1) == ["camera", "room"]
    deadlines.give("camera", now=200, within_s=30)
    assert deadlines.missed(200) == ["room"]


def test_a_deadline_is_at_most_two_minutes_away() -> None:
    deadlines = Deadlines()
    deadlines.give("room", now=0, within_s=86400)
    assert deadlines.missed(120) == []
    assert deadlines.missed(120.1) == ["room"]


def test_a_shorter_deadline_replaces_a_longer_one() -> None:
    deadlines = Deadlines()
    deadlines.give("camera", now=0, within_s=100)
    deadlines.give("camera", now=1, within_s=5)
    assert deadlines.missed(6.1) == ["camera"]


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.floats(0, 50), st.floats(0, 500)), max_size=60), st.floats(0, 300))
def test_exactly_the_overdue_deadlines_are_missed(given_: list[tuple[str, float, float]], later_s: float) -> None:
    deadlines, now, due_at = Deadlines(), 0.0, dict[str, float]()
    for name, pause_s, within_s in given_:
        now += pause_s
        deadlines.give(name, now=now, within_s=within_s)
        due_at[name] = now + min(within_s, 120.0)
    now += later_s
    assert set(deadlines.missed(now)) == {name for name in NAMES if due_at.get(name, now) < now}
