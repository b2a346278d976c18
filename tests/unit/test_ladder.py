"""The ladder of sizes and rates, in virtual time: by example and by property."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.tracks.bitrate_demand import needs_bps
from device.tracks.ladder import DOWN_S, UP_S, Ladder, Rung, rungs
from tests.unit.targets import Targets, ladder, replay, steady


def shapes(found: tuple[Rung, ...]) -> list[tuple[int, int, int]]:
    return [(each.width, each.height, each.fps) for each in found]


def test_first_the_rate_then_the_size() -> None:
    assert shapes(ladder().rungs) == [(1280, 720, 30), (1280, 720, 15), (960, 540, 15), (640, 360, 15), (320, 180, 15)]
    assert [each.down_bps // 1000 for each in ladder().rungs] == [420, 250, 162, 88, 31]
    assert shapes(ladder(width=1920, height=1080, fps=60).rungs) == [
        (1920, 1080, 60),
        (1920, 1080, 30),
        (1920, 1080, 15),
        (1440, 810, 15),
        (960, 540, 15),
        (480, 270, 15),
    ]


def test_a_slow_rate_stays_and_the_smallest_pictures_too() -> None:
    assert shapes(ladder(fps=12).rungs)[:2] == [(1280, 720, 12), (960, 540, 12)]
    assert shapes(ladder(width=160, height=120, fps=5, floor=30_000).rungs) == [(160, 120, 5)]


def test_a_fixed_bitrate_means_a_fixed_size() -> None:
    assert len(ladder(floor=400_000, ceiling=400_000).rungs) == 1


def test_a_maximum_below_the_size_bound_keeps_the_size() -> None:
    policy = ladder(ceiling=200_000)
    assert steady(policy, 200_000, 0, 60) == []


def test_a_drop_of_a_second_has_no_effect() -> None:
    policy = ladder()
    targets = [(0.0, 900_000), (10.0, 90_000), (11.2, 900_000), (20.0, 100_000), (21.0, 900_000)]
    assert replay(policy, targets, until=60) == []


def test_it_goes_down_within_three_seconds_to_the_rung_that_fits() -> None:
    policy = ladder()
    [(at, rung)] = replay(policy, [(0.0, 2_500_000), (10.0, 120_000)], until=30)
    assert rung.height == 360
    assert 1.0 < at - 10 < 3


def test_it_goes_up_to_the_top_after_a_stable_target() -> None:
    policy = ladder()
    changes = replay(policy, [(0.0, 100_000), (20.0, 2_000_000)], until=40)
    assert [(rung.height, rung.fps) for _, rung in changes] == [(360, 15), (720, 30)]
    assert changes[1][0] - 20 == pytest.approx(UP_S, abs=0.5)


def test_the_first_target_after_a_pause_is_ignored() -> None:
    policy = ladder()
    steady(policy, 2_000_000, 0, 10)
    assert steady(policy, 100_000, 30, 32) == []
    assert len(steady(policy, 100_000, 32, 33)) == 1


def test_oscillation_between_two_rungs_is_not_followed() -> None:
    """The estimate of a policed link rises and falls every few seconds."""
    policy = ladder()
    need = policy.rungs[1].down_bps
    swings = [(float(2 * turn), int(need * (0.8 if turn % 2 else 1.2))) for turn in range(60)]
    assert len(replay(policy, swings, until=120)) <= 2


TARGETS = st.integers(0, 4_000_000) | st.sampled_from((0, 60_000, 88_000, 250_000, 420_000))
COURSES = st.lists(st.tuples(st.sampled_from((0.04, 0.3, 1.0, 2.6, 6.0, 12.0)), TARGETS), min_size=1, max_size=25)


def course(steps: list[tuple[float, int]]) -> tuple[Targets, float]:
    targets, now = [], 0.0
    for seconds, target in steps:
        targets.append((now, target))
        now += seconds
    return targets, now


@given(COURSES)
def test_changes_have_a_minimum_distance(steps: list[tuple[float, int]]) -> None:
    policy = ladder()
    targets, end = course(steps)
    changes = [(0.0, policy.rung), *replay(policy, targets, until=end)]
    for (sooner, before), (later, after) in pairwise(changes):
        least = UP_S if policy.rungs.index(after) < policy.rungs.index(before) else DOWN_S
        assert later - sooner >= least - 1e-6


@given(COURSES, TARGETS)
def test_a_steady_target_settles_where_it_fits(steps: list[tuple[float, int]], target: int) -> None:
    policy = ladder()
    targets, end = course(steps)
    replay(policy, targets, until=end)
    steady(policy, target, end, end + 12)
    settled = policy.rung
    assert steady(policy, target, end + 12, end + 60) == []
    assert target >= settled.down_bps or settled is policy.rungs[-1]
    above = policy.rungs[: policy.rungs.index(settled)]
    assert all(target < each.up_bps for each in above)


@given(st.integers(0, 4_000_000), st.integers(0, 4_000_000))
def test_a_lower_target_never_raises_the_rung(one: int, other: int) -> None:
    less, more = sorted((one, other))
    places = []
    for target in (less, more):
        policy = ladder()
        steady(policy, target, 0, 20)
        places.append(policy.rungs.index(policy.rung))
    assert places[0] >= places[1]


@given(COURSES, st.integers(700_000, 4_000_000))
def test_every_rung_returns_to_the_top_soon(steps: list[tuple[float, int]], target: int) -> None:
    policy = ladder()
    targets, end = course(steps)
    replay(policy, targets, until=end)
    steady(policy, target, end, end + 10)
    assert policy.rung is policy.rungs[0]


@given(
    st.integers(80, 1920).map(lambda half: 2 * half),
    st.integers(60, 1080).map(lambda half: 2 * half),
    st.integers(1, 120),
    st.integers(30_000, 10**6),
    st.integers(0, 10**7),
)
def test_any_ladder(width: int, height: int, fps: int, floor: int, above: int) -> None:
    found = rungs(width=width, height=height, fps=fps, floor_bps=floor, ceiling_bps=floor + above)
    assert shapes(found)[0] == (width, height, fps)
    for higher, lower in pairwise(found):
        assert (lower.width, lower.height, lower.fps) <= (higher.width, higher.height, higher.fps)
        assert lower.fps >= min(fps, 10)
        assert lower.down_bps <= higher.down_bps
        assert lower.up_bps <= higher.up_bps
        assert lower.width % 2 == lower.height % 2 == 0
        assert abs(lower.width / lower.height - width / height) < 0.05 * width / height
    for each in found:
        assert each.down_bps < each.up_bps <= floor + above


def test_the_anchor() -> None:
    assert needs_bps(1280, 720, 15) == 250_000
    assert needs_bps(640, 360, 15) < 250_000 / 2


def test_other_rungs_keep_the_top_at_the_top_and_a_lower_rung_where_it_is() -> None:
    def of(fps: int, *, ceiling_bps: int = 2_500_000) -> tuple[Rung, ...]:
        return rungs(width=640, height=480, fps=fps, floor_bps=60_000, ceiling_bps=ceiling_bps)

    chosen = Ladder(rungs=of(15))
    assert chosen.replace(of(30)) is None  # a new encoder begins at its top
    assert chosen.rung is chosen.rungs[0]
    assert chosen.rung.fps == 30
    chosen.rung = chosen.rungs[2]
    assert chosen.replace(of(30, ceiling_bps=500_000)) is None
    assert chosen.rung is chosen.rungs[2]
    assert chosen.replace(of(30)[:2]) is chosen.rungs[0]
