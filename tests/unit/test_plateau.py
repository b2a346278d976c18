"""The figures of the soak rows: a leak is found, and what only comes and goes is none."""

from __future__ import annotations

import random

import pytest

from tests.faults.footprint import Footprint
from tests.faults.plateau import Course


def course(*, leak_kb: float = 0, per_event: float = 0, sawtooth_kb: int = 0) -> Course:
    chance = random.Random(7)
    return Course(
        [
            Footprint(
                rss_kb=80_000
                + min(number, 50) * 200  # the first events warm up
                + int(number * leak_kb)
                + (number % 50) * sawtooth_kb
                + chance.randrange(-500, 500),
                threads=20 + int(number * per_event),
                descriptors=30 + int(number * per_event) + chance.choice((0, 0, 0, 3)),
            )
            for number in range(200)
        ]
    )


def test_what_warms_up_and_what_comes_and_goes_is_no_growth() -> None:
    found = course()
    assert abs(found.slope_kb()) < 3
    assert (found.more_threads(), found.more_descriptors()) == (0, 0)
    assert found.higher_kb() < 1000


def test_growth_is_found() -> None:
    found = course(leak_kb=25, per_event=0.1)
    assert found.slope_kb() == pytest.approx(25, abs=3)
    assert found.more_threads() == 5
    assert found.more_descriptors() >= 4
    assert found.higher_kb() > 2000


def test_a_sawtooth_is_a_plateau() -> None:
    assert abs(course(sawtooth_kb=100).higher_kb()) < 1000
