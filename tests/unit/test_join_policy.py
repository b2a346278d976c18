"""The way into the room, case by case: what is done next, and when. Weeks of it: test_joining_simulated.py."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from livekit import rtc

from device.room import reasons
from device.room.join_policy import Action, Joining, Step
from device.room.reasons import Response, reason_named
from device.tokens.join_token import IdentityHolder

if TYPE_CHECKING:
    from collections.abc import Callable

FOREVER = float("inf")
OURS = ("DELIVERY_STALLED", "SERVER_AWAY", "SERVER_RETURNED", "SDK_RECONNECTING", "ADDRESS_CHANGED", "NOT_REPUBLISHED")
WAITS = {"ROOM_DELETED": 60.0, "ROOM_CLOSED": 60.0, "PARTICIPANT_REMOVED": 300.0}


def least(low: float, _high: float) -> float:
    return low


def most(_low: float, high: float) -> float:
    return high


def joining(uniform: Callable[[float, float], float] = most, **changes: float) -> Joining:
    return Joining(**({"probe_s": 2.0, "spread_s": 1.0, "max_s": 30.0} | changes), uniform=uniform)


def joined(policy: Joining, now: float) -> float:
    """Carry out what the policy wants, with a server that answers at once, up to the join; return its time."""
    while (step := policy.next(now)).action is not Action.JOIN:
        assert step.action in (Action.PROBE, Action.WAIT)
        if step.action is Action.PROBE:
            policy.probed(answered=True, now=now)
        else:
            assert now < step.until < FOREVER
            now = step.until
    return now


def test_the_first_join_waits_for_nothing() -> None:
    """Nobody stands before a device that has just been switched on, and no fleet starts at once with it."""
    policy = joining(spread_s=60)
    assert policy.next(100.0) == Step(Action.PROBE)
    policy.probed(answered=True, now=100.1)
    assert policy.next(100.1) == Step(Action.JOIN)


def test_a_server_that_comes_back_is_joined_after_a_part_of_the_spread() -> None:
    policy = joining(spread_s=60)
    policy.next(0.0)
    policy.probed(answered=False, now=1.5)
    assert policy.next(1.5) == Step(Action.WAIT, 2.0)
    assert policy.next(2.0) == Step(Action.PROBE)
    policy.probed(answered=True, now=2.1)
    assert policy.next(2.1) == Step(Action.WAIT, 62.1)
    assert policy.next(62.1) == Step(Action.JOIN)


@pytest.mark.parametrize(("spread_s", "delay_s"), ((1.0, 0.0), (60.0, 59.0)))
def test_stalls_are_some_way_apart_by_themselves(spread_s: float, delay_s: float) -> None:
    policy = joining(spread_s=spread_s)
    policy.next(0.0)
    policy.probed(answered=True, now=0.1)
    assert policy.next(0.1) == Step(Action.JOIN)
    policy.ended(reason_named("DELIVERY_STALLED"), published_for_s=600.0, clean=False, now=600.0)
    assert policy.next(600.0) == Step(Action.PROBE)
    policy.probed(answered=True, now=600.5)
    assert policy.next(600.5 + delay_s) == Step(Action.JOIN)


def test_a_stall_for_which_the_server_is_away_is_followed_by_the_whole_spread() -> None:
    policy = joining(spread_s=60)
    policy.next(0.0)
    policy.probed(answered=True, now=0.1)
    policy.next(0.1)
    policy.ended(reason_named("DELIVERY_STALLED"), published_for_s=600.0, clean=False, now=600.0)
    policy.next(600.0)
    policy.probed(answered=False, now=601.5)
    policy.next(602.0)
    policy.probed(answered=True, now=602.0)
    assert policy.next(602.0) == Step(Action.WAIT, 662.0)


def test_probes_are_half_to_one_probe_s_apart() -> None:
    for uniform, apart in ((least, 1.0), (most, 2.0)):
        policy = joining(uniform)
        for number in range(5):
            assert policy.next(number * apart) == Step(Action.PROBE)
            policy.probed(answered=False, now=number * apart)
            assert policy.next(number * apart) == Step(Action.WAIT, (number + 1) * apart)


def test_a_failed_join_is_never_followed_by_another_without_a_probe() -> None:
    policy = joining(least)
    now = joined(policy, 0.0)
    assert policy.failed(now + 0.1) == 0
    assert policy.next(now + 0.1) == Step(Action.PROBE)
    policy.probed(answered=True, now=now + 0.2)
    assert policy.next(now + 0.2) == Step(Action.WAIT, now + 1.0)  # however well all goes: a second apart
    assert policy.next(now + 1.0) == Step(Action.JOIN)


def test_no_second_join_before_the_first_has_ended() -> None:
    """Whatever is asked meanwhile: a join that is under way cannot be cancelled, and would evict the next."""
    policy = joining()
    now = joined(policy, 0.0)
    for later in range(100):
        step = policy.next(now + later)
        assert step.action is not Action.JOIN
        if step.action is Action.PROBE:
            policy.probed(answered=True, now=now + later)
    policy.ended(reason_named("UNKNOWN_REASON"), published_for_s=1, clean=True, now=now + 100)
    assert joined(policy, now + 100) <= now + 101


def test_failures_back_off_up_to_the_ceiling() -> None:
    policy, now, delays = joining(), 0.0, []
    for _ in range(9):
        now = joined(policy, now)
        delays.append(policy.failed(now))
        assert policy.next(now) == Step(Action.WAIT, now + delays[-1])
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


@pytest.mark.parametrize("max_s", (1.0, 30.0, 3600.0))
def test_backoff_has_full_jitter_and_its_ceiling(max_s: float) -> None:
    policy, now = joining(random.Random(5).uniform, max_s=max_s), 0.0
    delays = []
    for _ in range(2000):
        now = joined(policy, now)
        delays.append(policy.failed(now))
    assert 0 <= min(delays) < max_s / 20
    assert max_s * 0.95 < max(delays) <= max_s
    assert 0.45 < sum(delays[15:]) / len(delays[15:]) / max_s < 0.55


def test_a_stay_that_worked_begins_the_backoff_anew() -> None:
    policy, now = joining(), 0.0
    for _ in range(8):
        now = joined(policy, now)
        policy.failed(now)
    now = joined(policy, now)
    policy.ended(reason_named("UNKNOWN_REASON"), published_for_s=5, clean=False, now=now + 5)
    assert policy.failed(joined(policy, now + 5)) == 0.5


def test_nothing_is_tried_without_a_link() -> None:
    policy = joining()
    policy.route(up=False, now=0.0)
    assert {policy.next(float(now)) for now in range(0, 10**6, 1000)} == {Step(Action.WAIT)}


def test_the_return_of_the_link_is_worth_a_probe_at_once() -> None:
    policy, now = joining(), 0.0
    for _ in range(8):
        now = joined(policy, now)
        policy.failed(now)
    policy.route(up=False, now=now + 1)
    policy.route(up=True, now=now + 2)
    assert policy.next(now + 2) == Step(Action.PROBE)  # the failures were the link's: 30 s would be too long
    policy.probed(answered=True, now=now + 2)
    assert policy.failed(joined(policy, now + 2)) == 0.5


def test_an_answer_from_before_the_link_went_is_worth_nothing() -> None:
    policy = joining()
    policy.next(0.0)
    policy.probed(answered=False, now=0.0)
    policy.next(2.0)
    policy.probed(answered=True, now=2.0)
    policy.route(up=False, now=2.1)
    policy.route(up=True, now=2.2)
    assert policy.next(2.2) == Step(Action.PROBE)


@pytest.mark.parametrize("name", WAITS)
def test_the_return_of_the_link_does_not_shorten_what_somebody_meant(name: str) -> None:
    policy = joining()
    now = joined(policy, 0.0)
    policy.ended(reason_named(name), published_for_s=100, clean=True, now=now)
    policy.route(up=False, now=now + 1)
    policy.route(up=True, now=now + 2)
    assert policy.next(now + 2) == Step(Action.WAIT, now + WAITS[name])


def test_a_link_that_flaps_makes_no_burst_of_joins() -> None:
    policy, joins, now = joining(least), [], 0.0
    while now < 60:
        policy.route(up=False, now=now)
        policy.route(up=True, now=now)
        while (step := policy.next(now)).action is not Action.WAIT:
            if step.action is Action.PROBE:
                policy.probed(answered=True, now=now)
            else:
                joins.append(now)
                policy.failed(now)
        now += 0.01
    assert len(joins) <= 61


@pytest.mark.parametrize("name", (*rtc.DisconnectReason.keys(), *OURS, "SOMETHING_NEW"))
def test_the_first_wait_of_each_reason(name: str) -> None:
    policy = joining()
    now = joined(policy, 0.0)
    assert policy.ended(reason_named(name), published_for_s=3, clean=True, now=now + 3) == WAITS.get(name, 0.0)
    assert policy.next(now + 3).action is (Action.WAIT if name in WAITS else Action.PROBE)
    reason = reason_named(name)
    assert reason.text
    expected = (
        Response.CHECK_IDENTITY if name == "DUPLICATE_IDENTITY" else Response.WAIT if name in WAITS else Response.RETRY
    )
    assert reason.response is expected


def test_the_table_knows_no_name_but_the_sdks_and_ours() -> None:
    assert set(reasons._TABLE) <= {*rtc.DisconnectReason.keys(), *OURS}


def test_a_device_that_is_removed_again_and_again_waits_longer() -> None:
    def removals(name: str, *, published_for_s: float) -> list[float]:
        policy, now, delays = joining(), 0.0, []
        for _ in range(6):
            now = joined(policy, now) + published_for_s
            delays.append(policy.ended(reason_named(name), published_for_s=published_for_s, clean=True, now=now))
            assert policy.next(now) == Step(Action.WAIT, now + delays[-1])
        return delays

    assert removals("PARTICIPANT_REMOVED", published_for_s=5) == [300, 600, 1200, 1800, 1800, 1800]
    assert (
        removals("PARTICIPANT_REMOVED", published_for_s=1800) == [300] * 6
    )  # half an hour in peace: it is another matter
    assert removals("ROOM_DELETED", published_for_s=5) == [60] * 6
    assert removals("ROOM_CLOSED", published_for_s=5) == [60] * 6


def test_our_own_ghost_is_waited_for_once() -> None:
    """A Room that we gave up may still join; it is gone with our next join, and who comes then is another device."""
    policy = joining()
    now = joined(policy, 0.0)
    policy.ended(reason_named("DELIVERY_STALLED"), published_for_s=60, clean=False, now=now)
    now = joined(policy, now)
    assert policy.ended(reason_named("DUPLICATE_IDENTITY"), published_for_s=3, clean=True, now=now + 29.0 - 1.0) == 2
    assert policy.next(now + 28.0) == Step(Action.WAIT, now + 30.0)
    now = joined(policy, now + 28.0)
    policy.ended(reason_named("DUPLICATE_IDENTITY"), published_for_s=3, clean=True, now=now + 3)
    assert policy.next(now + 3) == Step(Action.PROBE)
    policy.probed(answered=True, now=now + 3)
    assert policy.next(now + 4) == Step(Action.CHECK_IDENTITY)


def test_the_ghost_of_a_failed_join_counts_too() -> None:
    policy = joining()
    now = joined(policy, 0.0)
    policy.failed(now + 15)
    now = joined(policy, now + 15)
    assert policy.ended(reason_named("DUPLICATE_IDENTITY"), published_for_s=10, clean=True, now=now + 10) == 2


def test_the_ghost_of_a_connection_that_was_left_for_a_new_configuration_counts_too() -> None:
    policy = joining()
    policy.replaces(0.0)
    delay_s = policy.ended(reasons.DUPLICATE_IDENTITY, published_for_s=1.0, clean=True, now=5.0)
    assert delay_s > 0
    assert policy.next(5.0 + delay_s).action is Action.PROBE  # not an identity check, which may take minutes


def test_after_half_a_minute_or_a_clean_end_it_is_no_ghost() -> None:
    for clean, after_s in ((False, 31.0), (True, 5.0)):
        policy = joining()
        now = joined(policy, 0.0)
        policy.ended(reason_named("SERVER_SHUTDOWN"), published_for_s=60, clean=clean, now=now)
        again = joined(policy, now)
        assert (
            policy.ended(reason_named("DUPLICATE_IDENTITY"), published_for_s=after_s, clean=True, now=now + after_s)
            == 0
        )
        policy.next(now + after_s)
        policy.probed(answered=True, now=now + after_s)
        assert policy.next(max(now + after_s + 1, again + 1)) == Step(Action.CHECK_IDENTITY)


def contested(uniform: Callable[[float, float], float] = most) -> tuple[Joining, float]:
    """Return a policy that is to look now, and the time."""
    policy = joining(uniform)
    now = joined(policy, 0.0) + 100
    policy.ended(reason_named("DUPLICATE_IDENTITY"), published_for_s=100, clean=True, now=now)
    assert policy.next(now) == Step(Action.PROBE)
    policy.probed(answered=True, now=now)
    return policy, now + 1


def test_who_sees_nobody_joins() -> None:
    policy, now = contested()
    assert policy.next(now) == Step(Action.CHECK_IDENTITY)
    assert policy.identity_checked(IdentityHolder.ABSENT, now) == 0
    assert policy.next(now) == Step(Action.JOIN)


def test_who_sees_a_rival_looks_again_after_a_minute_for_as_long_as_it_takes() -> None:
    for uniform, hold_s in ((least, 60.0), (most, 75.0)):
        policy, now = contested(uniform)
        for _ in range(1000):
            assert policy.next(now) == Step(Action.CHECK_IDENTITY)
            assert policy.identity_checked(IdentityHolder.PRESENT, now) == hold_s
            assert policy.next(now) == Step(Action.WAIT, now + hold_s)
            now += hold_s
            assert policy.next(now) == Step(Action.PROBE)
            policy.probed(answered=True, now=now)
            now = step.until if (step := policy.next(now)).action is Action.WAIT else now


def test_who_cannot_look_waits_from_a_minute_to_an_hour() -> None:
    policy, now = contested(least)
    holds = []
    for _ in range(9):
        assert policy.next(now) == Step(Action.CHECK_IDENTITY)
        holds.append(policy.identity_checked(IdentityHolder.UNKNOWN, now))
        now = joined(policy, now + holds[-1]) + 5
        policy.ended(reason_named("DUPLICATE_IDENTITY"), published_for_s=5, clean=True, now=now)
        policy.next(now)
        policy.probed(answered=True, now=now)
        now = step.until if (step := policy.next(now)).action is Action.WAIT else now
    assert holds == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    policy.identity_checked(IdentityHolder.UNKNOWN, now)
    now = joined(policy, now + 3600) + 7200  # undisturbed for two hours: the contest is over
    policy.ended(reason_named("DUPLICATE_IDENTITY"), published_for_s=7200, clean=True, now=now)
    assert policy.identity_checked(IdentityHolder.UNKNOWN, now) == 60


def test_a_thousand_failures_do_not_overflow() -> None:
    policy, now = contested()
    assert max(policy.identity_checked(IdentityHolder.UNKNOWN, now) for _ in range(5000)) == 4500
    for _ in range(5000):
        assert policy.ended(reason_named("PARTICIPANT_REMOVED"), published_for_s=1, clean=True, now=now) <= 1800
