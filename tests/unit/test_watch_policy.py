"""When a camera sends, pauses and sleeps, in virtual time: doubt means sending, and no viewer waits for a timer."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.streams.watch_policy import GRACE_S, Sending, WatchPolicy

SLEEP_S = 60.0
SENDING, PAUSED, ASLEEP = Sending.SENDING, Sending.PAUSED, Sending.ASLEEP


def policy(sleep_after_s: float | None = SLEEP_S) -> WatchPolicy:
    return WatchPolicy(started_at=0.0, sleep_after_s=sleep_after_s)


def unwatched(now: float = 30.0, sleep_after_s: float | None = SLEEP_S) -> WatchPolicy:
    """Return a camera whose session began at 1 s, and that is paused since `now`."""
    found = policy(sleep_after_s)
    found.joined(1.0)
    found.active(active=True, now=2.0)
    found.active(active=False, now=8.0)
    found.update(now)
    assert found.state is PAUSED
    return found


def test_it_pauses_when_the_sdk_says_that_nobody_watches_and_then_sleeps() -> None:
    found = unwatched()
    assert not found.watched
    assert found.next_at(30.0) == 30.0 + SLEEP_S
    found.update(30.0 + SLEEP_S - 0.1)
    assert found.state is PAUSED
    found.update(30.0 + SLEEP_S)
    assert (found.state, found.next_at(30.0 + SLEEP_S)) == (ASLEEP, float("inf"))


def test_it_does_not_sleep_without_a_time_for_that() -> None:
    found = unwatched(sleep_after_s=None)
    found.update(1e6)
    assert (found.state, found.next_at(1e6)) == (PAUSED, float("inf"))


def test_it_starts_sending_and_is_not_watched_before_that_is_certain() -> None:
    found = policy()
    found.joined(1.0)
    found.active(active=True, now=2.0)
    found.update(2.0)
    assert (found.state, found.watched) == (SENDING, False)
    found.active(active=True, now=20.0)  # nobody's watching would have been known by now
    assert found.watched


def test_it_pauses_no_sooner_than_ten_seconds_after_its_start() -> None:
    found = policy()
    found.joined(1.0)
    found.active(active=False, now=7.0)
    found.update(7.0)
    assert (found.state, found.next_at(7.0)) == (SENDING, GRACE_S)
    found.update(GRACE_S)
    assert found.state is PAUSED


@pytest.mark.parametrize("asleep", (False, True))
@pytest.mark.parametrize("signal", ("active", "subscribed", "participant"))
def test_every_sign_of_a_viewer_wakes_it_at_once(signal: str, *, asleep: bool) -> None:
    found = unwatched()
    now = 1000.0
    if asleep:
        found.update(now)
        assert found.state is ASLEEP
    match signal:
        case "active":
            found.active(active=True, now=now)
        case "subscribed":
            found.subscribed(now)
        case _:
            found.may_be_watched(now)
    assert found.state is SENDING
    assert found.watched is (signal != "participant")


def test_a_participant_who_does_not_subscribe_costs_ten_seconds() -> None:
    found = unwatched()
    found.may_be_watched(100.0)
    found.active(active=False, now=101.0)
    found.update(100.0 + GRACE_S - 0.1)
    assert found.state is SENDING
    found.update(100.0 + GRACE_S)
    assert found.state is PAUSED
    assert not found.watched


def test_the_event_of_a_subscription_counts_although_the_sdk_is_still_inactive() -> None:
    found = unwatched()
    found.subscribed(100.0)
    found.active(active=False, now=100.3)
    assert found.watched
    found.active(active=True, now=100.5)
    found.active(active=False, now=200.0)
    assert not found.watched
    found.update(200.0)
    assert found.state is PAUSED


def test_what_the_sdk_does_not_say_means_sending() -> None:
    found = unwatched()
    found.active(active=None, now=34.0)
    assert found.state is SENDING
    again = unwatched(now=10.0)
    again.active(active=None, now=12.0)  # it was said 4 s ago
    assert again.state is PAUSED


def test_a_rejoin_alone_wakes_nothing_but_what_is_there_after_it_does() -> None:
    found = unwatched()
    found.left(40.0)
    found.joined(42.0)
    found.active(active=True, now=43.0)  # as after each publication
    assert found.state is PAUSED
    found.active(active=True, now=58.0)
    assert (found.state, found.watched) == (SENDING, True)


def test_without_a_session_it_pauses_after_half_a_minute_and_sleeps() -> None:
    found = policy()
    found.joined(1.0)
    found.subscribed(2.0)
    found.active(active=True, now=50.0)
    found.left(100.0)
    found.update(129.0)
    assert (found.state, found.watched, found.next_at(129.0)) == (SENDING, True, 130.0)
    found.active(active=True, now=129.5)  # a late sample
    found.update(130.0)
    assert (found.state, found.watched) == (PAUSED, False)
    found.update(130.0 + SLEEP_S)
    assert found.state is ASLEEP


def test_before_the_first_session_it_sends() -> None:
    found = policy()
    found.update(1e6)
    assert (found.state, found.next_at(1e6)) == (SENDING, float("inf"))


def test_what_the_room_forbids_pauses_with_viewers_in_the_room() -> None:
    found = policy()
    found.joined(1.0)
    found.published(2.0)
    found.subscribed(3.0)
    found.forbidden()
    assert (found.state, found.watched) == (SENDING, False)
    found.may_be_watched(20.0)
    found.subscribed(20.0)  # it was late
    found.active(active=None, now=20.0)
    found.update(20.0)
    assert (found.state, found.watched) == (PAUSED, False)
    found.published(30.0)
    assert (found.state, found.watched) == (SENDING, False)
    found.update(30.0 + GRACE_S)
    assert found.state is SENDING  # it is not known yet
    found.active(active=False, now=41.0)
    found.update(41.0)
    assert found.state is PAUSED


def test_a_new_session_may_allow_what_the_last_one_did_not() -> None:
    found = policy()
    found.joined(1.0)
    found.forbidden()
    found.update(GRACE_S)
    found.left(20.0)
    found.joined(21.0)
    found.subscribed(22.0)
    assert (found.state, found.watched) == (SENDING, True)


def test_another_publication_is_not_watched_before_that_is_certain() -> None:
    found = unwatched()
    found.published(100.0)
    found.active(active=True, now=101.0)
    assert (found.state, found.watched) == (PAUSED, False)
    found.active(active=True, now=115.0)
    assert (found.state, found.watched) == (SENDING, True)


def test_another_publication_of_what_is_watched_stays_watched() -> None:
    found = policy()
    found.joined(1.0)
    found.subscribed(2.0)
    found.published(100.0)
    found.active(active=True, now=101.0)
    assert found.watched


def test_a_source_that_delivers_nothing_does_not_sleep() -> None:
    found = unwatched()
    found.delivers = False
    assert found.next_at(50.0) == float("inf")
    found.update(1000.0)
    assert found.state is PAUSED
    found.delivers = True
    found.update(1001.0)
    assert found.state is ASLEEP
    found.delivers = False
    found.update(1002.0)
    assert found.state is PAUSED


def test_a_hundred_subscriptions_a_minute_do_not_flap() -> None:
    found, states = unwatched(), []
    for number in range(1000):
        now = 100.0 + number * 0.06
        found.active(active=number % 10 < 5, now=now)
        found.update(now)
        states.append(found.state)
    changes = sum(1 for before, after in pairwise(states) if before is not after)
    assert changes <= 60 / GRACE_S * 2
    assert ASLEEP not in states


EVENTS = st.sampled_from(
    (
        "joined",
        "left",
        "published",
        "forbidden",
        "broken",
        "works",
        "subscribed",
        "participant",
        "active",
        "inactive",
        "unknown",
        "time",
    )
)


@given(st.lists(st.tuples(EVENTS, st.floats(min_value=0, max_value=100))))
def test_it_never_pauses_a_stream_that_is_watched_and_time_alone_never_wakes(
    events: list[tuple[str, float]],
) -> None:
    found, now = policy(), 0.0
    for event, after_s in events:
        now, before = now + after_s, found.state
        match event:
            case "forbidden":
                found.forbidden()
            case "broken" | "works":
                found.delivers = event == "works"
            case "joined" | "left" | "published" | "subscribed":
                getattr(found, event)(now)
            case "participant":
                found.may_be_watched(now)
            case "active" | "inactive" | "unknown":
                found.active(active={"active": True, "inactive": False, "unknown": None}[event], now=now)
        found.update(now)
        assert not (found.watched and found.state is not SENDING)
        if event == "time":
            assert before is SENDING or found.state is not SENDING
        assert found.next_at(now) > now
