"""When a worker is begun, dead and begun again, in virtual time: weeks of whatever may happen to it."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.ipc.restart_policy import Action, Step
from tests.unit.workers.lives import CAP_S, FIRST_S, MIN_DELAY_S, STALL_S, STARTUP_S, Life, World, recovery

WEEK_S = 7 * 86400.0


def seconds(most: float) -> st.SearchStrategy[float]:
    return st.floats(0, most) | st.sampled_from((0.0, 0.001, most))


LIVES = st.builds(
    Life,
    spawns=st.integers(0, 9).map(bool),
    hello_after_s=st.none() | seconds(2 * STARTUP_S),
    first_after_s=st.none() | seconds(2 * FIRST_S),
    gaps_s=st.lists(seconds(1.2 * STALL_S), max_size=8).map(tuple)
    | st.integers(1, 400).map(lambda count: (1.0,) * count),
    dies_after_s=st.none() | seconds(2 * STALL_S),
    ending_s=seconds(1.0),
    appears_after_s=st.none() | seconds(CAP_S),
    share=st.floats(0, 1),
)


@given(st.lists(LIVES, min_size=1, max_size=60))
def test_whatever_happens_there_is_a_next_step(lives: list[Life]) -> None:
    """`World` holds the policy to it: never two, dead exactly when it is dead, and the next one comes in time."""
    world = World()
    for life in lives:
        world.live(life)
    assert world.policy.next(world.now) == Step(Action.SPAWN)


@pytest.mark.parametrize("seed", range(3))
def test_weeks_of_mishaps_have_no_end_and_no_burst(seed: int) -> None:
    fate, world = random.Random(seed), World()
    while world.now < 2 * WEEK_S:
        kind = fate.random()
        world.live(
            Life(
                spawns=kind > 0.1,
                hello_after_s=None if kind < 0.15 else fate.expovariate(1 / 5),
                first_after_s=None if kind < 0.2 else fate.expovariate(1),
                # Units as seldom as they may be, for up to six hours.
                gaps_s=(0.95 * STALL_S,) * (int(12_000 * fate.random() ** 8) if kind > 0.5 else fate.randrange(9)),
                dies_after_s=None if fate.random() < 0.3 else fate.uniform(0, STALL_S),
                ending_s=fate.random(),
                appears_after_s=fate.uniform(0.5, CAP_S) if fate.random() < 0.2 else None,
                share=fate.random(),
            )
        )
    assert world.deaths > 100
    assert len(world.spawns) > 300
    assert all(later - sooner >= MIN_DELAY_S - 1e-6 for sooner, later in pairwise(world.spawns))


def test_a_camera_that_is_away_for_weeks_is_tried_every_few_seconds_for_ever() -> None:
    world, fate = World(), random.Random(1)
    while world.now < 2 * WEEK_S:
        world.live(Life(hello_after_s=None, dies_after_s=0.5, share=fate.random()))
    gaps_s = [later - sooner for sooner, later in pairwise(world.spawns)]
    assert max(gaps_s) <= CAP_S + 1.2
    assert len(gaps_s) > 2 * WEEK_S / CAP_S


def test_the_least_chance_is_no_spin() -> None:
    world = World()
    for _ in range(100):
        world.live(Life(spawns=False, share=0.0))
    assert {round(later - sooner, 6) for sooner, later in pairwise(world.spawns)} == {MIN_DELAY_S}


def test_the_longest_delays_double_up_to_their_cap_and_stay_there() -> None:
    world = World()
    for _ in range(10):
        world.live(Life(spawns=False))
    assert world.delays_s == [0.25, 0.5, 1, 2, 4, 8, 15, 15, 15, 15]


@pytest.mark.parametrize(("delivered_s", "delay_s"), ((28.5, 15.0), (30.0, 0.25), (4500.0, 0.25)))
def test_only_half_a_minute_of_delivery_starts_anew(delivered_s: float, delay_s: float) -> None:
    world = World()
    for _ in range(9):
        world.live(Life(spawns=False))
    # The time to start counts for nothing, nor does the stall at the end.
    world.live(Life(hello_after_s=25.0, first_after_s=9.0, gaps_s=(1.5,) * int(delivered_s / 1.5)))
    assert world.delays_s[-1] == delay_s


def test_what_is_plugged_in_starts_at_once_and_begins_with_short_delays() -> None:
    world = World()
    for _ in range(9):
        world.live(Life(spawns=False))
    world.live(Life(spawns=False, appears_after_s=0.5))
    assert world.policy.next(world.now) == Step(Action.SPAWN)
    world.live(Life(spawns=False))
    assert world.delays_s[-2:] == [15.0, 0.25]


def test_an_appearance_does_nothing_to_a_worker_that_runs() -> None:
    policy = recovery()
    policy.spawned(100)
    before = policy.next(100)
    policy.device_connected(100)
    assert policy.next(100) == before
    assert policy.next(100 + STARTUP_S) == Step(Action.END)


def test_a_source_is_given_time_to_start_and_then_to_yield() -> None:
    policy = recovery(stall_s=2)
    policy.spawned(100)
    assert policy.next(100) == Step(Action.WATCH, 100.5)
    assert policy.next(129.9) == Step(Action.WATCH, 130)
    assert policy.next(130) == Step(Action.END)
    policy.capturing(110)  # a small board imports for seconds
    assert policy.next(119.9) == Step(Action.WATCH, 120)
    assert policy.next(120) == Step(Action.END)
    assert policy.stall_text() == "nothing came for 10 s"
    assert policy.delivered(115)
    assert policy.next(117) == Step(Action.END)
    assert policy.stall_text() == "nothing came for 2 s"
    assert not policy.delivered(116.5)
    policy.capturing(116.6)  # a late hello gives no more time
    assert policy.next(118.4) == Step(Action.WATCH, 118.5)
    assert policy.next(118.5) == Step(Action.END)


def test_a_worker_that_says_hello_again_and_again_is_given_no_more_time() -> None:
    policy = recovery()
    policy.spawned(100)
    for second in range(101, 112):
        policy.capturing(second)
    assert policy.next(111.5) == Step(Action.END)


def test_an_encoder_that_is_replaced_has_the_time_of_a_first_unit_once_in_a_run() -> None:
    policy = recovery(stall_s=2)
    for began in (100, 200):
        policy.spawned(began)
        policy.capturing(began + 1)
        policy.delivered(began + 2)
        policy.encoder_replaced(began + 3)  # libx264 is loaded for seconds
        assert policy.next(began + 12.9) == Step(Action.WATCH, began + 13)
        assert policy.next(began + 13) == Step(Action.END)
        assert policy.stall_text() == "nothing came for 10 s"
        policy.delivered(began + 10)
        policy.encoder_replaced(began + 11)  # a worker that says so again and again is given no more time
        assert policy.next(began + 12) == Step(Action.END)
        policy.ended(began + 12)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40).map(sorted), st.floats(0.2, 60))
def test_a_source_is_dead_exactly_one_stall_after_its_last_sign(moments: list[float], stall_s: float) -> None:
    policy = recovery(stall_s=stall_s)
    policy.spawned(0)
    assert [policy.delivered(moment) for moment in moments] == [True] + [False] * (len(moments) - 1)
    dead_at = moments[-1] + stall_s
    assert policy.next(dead_at) == Step(Action.END)
    step = policy.next(math.nextafter(dead_at, 0))
    assert step.action is Action.WATCH
    assert step.until == dead_at
