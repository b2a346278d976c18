"""Units leave as if all pictures took alike to encode. Virtual time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from device.encoders.steadiness import Steadiness

PERIOD_US = 33_333


def late_us(took_us: list[int]) -> list[int]:
    """Return how late after their capture units leave that were ready after these times."""
    steadiness = Steadiness()
    found = []
    for number, took in enumerate(took_us):
        captured_at_us = number * PERIOD_US
        ready_at_us = captured_at_us + took
        found.append(max(ready_at_us, steadiness.due_at_us(captured_at_us, ready_at_us)) - captured_at_us)
    return found


def test_what_takes_long_now_and_then_decides_for_all() -> None:
    assert set(late_us([3000, 4000, 6000] * 20)[6:]) == {6000}


def test_one_that_takes_far_longer_holds_up_no_other() -> None:
    found = late_us([4000] * 30 + [90_000] + [4000] * 30)
    assert found == [4000] * 30 + [90_000] + [4000] * 30


def test_an_encoder_that_becomes_quicker_is_followed() -> None:
    assert late_us([9000] * 60 + [4000] * 60)[-1] == 4000


@given(st.lists(st.integers(0, 200_000), max_size=200))
def test_none_is_held_for_long(took_us: list[int]) -> None:
    for took, late in zip(took_us, late_us(took_us), strict=True):
        assert took <= late <= took + 12_000
