"""The liveness policy as a whole, in virtual time: what the server returns decides whether a session is alive."""

from __future__ import annotations

import ast
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.room import liveness as package
from device.room.liveness.policy import LivenessPolicy
from device.room.reasons import (
    ADDRESS_CHANGED,
    DELIVERY_STALLED,
    SDK_RECONNECTING,
    SERVER_AWAY,
    SERVER_RETURNED,
    Reason,
)
from device.telemetry.transport_stats import Report, TransportStats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HERE, THERE = "ws://one.example", "ws://two.example"
BEGAN = 1000.0
LIMIT = 4.0
BOTH = ("camera", "microphone")


def liveness(**changes: float) -> LivenessPolicy:
    return LivenessPolicy(**({"stall_s": LIMIT, "published_at": BEGAN} | changes), url=HERE, address="192.0.2.7")


def named(reason: Reason | None) -> str:
    return reason.name if reason else ""


def arrived(at: float, now: float) -> Report:
    return Report(at_us=int(at * 1e6), age_s=now - at)


def watch(
    judge: LivenessPolicy,
    moments: Iterable[float],
    *,
    moving: Callable[[str, float], bool] = lambda _what, _now: True,
    media: tuple[str, ...] = BOTH,
) -> tuple[str, float]:
    """Sample at each moment, with values that change if they are `moving`; return the first reason's name, and when."""
    values: dict[str, float] = {}
    for now in moments:
        for what in ("responses", *(f"{part} {name}" for part in ("report", "sent", "fed") for name in media)):
            if moving(what, now) or what not in values:
                values[what] = now
        judge.update(
            TransportStats(
                responses=values["responses"],
                reports={name: arrived(values[f"report {name}"], now) for name in media},
                sent={name: int(values[f"sent {name}"] * 1000) for name in media},
            ),
            {name: int(values[f"fed {name}"] * 1000) for name in media},
            now,
        )
        if reason := judge.reason(now):
            return reason.name, now
    return "", now


def seconds(length: float, step: float = 1.0, begin: float = BEGAN) -> list[float]:
    return [begin + number * step for number in range(int(length / step) + 1)]


def until(at: float, *still: str) -> Callable[[str, float], bool]:
    """Return what lets the named values stand still from a moment on."""
    return lambda what, now: now <= at or what not in still


def test_all_is_well_for_a_day() -> None:
    assert watch(liveness(), seconds(86400)) == ("", BEGAN + 86400)


PROOF = ("responses", "report camera", "report microphone")


def test_nothing_back_for_the_limit_is_a_stall() -> None:
    judge = liveness()
    reason, when = watch(judge, seconds(60), moving=until(BEGAN + 20, *PROOF))
    assert (reason, when) == (DELIVERY_STALLED.name, BEGAN + 25)
    stall = judge.reason(when)
    assert stall
    assert (stall.culprit, stall.age_s) == ("transport", 5.0)


def test_a_report_counts_from_when_it_came() -> None:
    """Seen by a look 0.9 s later: the stay is over 4 s after the report, and not after the look."""
    judge, came_at = liveness(), BEGAN + 20.1
    watch(judge, seconds(20))
    for now in (BEGAN + 21, BEGAN + 22, *seconds(3, 0.25, BEGAN + 22.25)):
        responses = BEGAN + 20  # moved last at the last of the looks above
        judge.update(
            TransportStats(responses=responses, reports={"camera": arrived(came_at, now)}),
            {"camera": int(now * 30)},
            now,
        )
        if judge.reason(now):
            break
    assert now == BEGAN + 24.25


def silent(judge: LivenessPolicy, answering: Callable[[float], str | None]) -> tuple[float, int]:
    """Let nothing come back, ask as often as is wanted; return after how long it was over, and how many questions."""
    watch(judge, seconds(20))
    questions = 0
    for now in seconds(30, 0.25, BEGAN + 20.25):
        if judge.wants_probe(now):
            questions += 1
            judge.probed(answering(now - BEGAN - 20), now)
        if reason := judge.reason(now):
            assert reason.name == DELIVERY_STALLED.name
            return now - BEGAN - 20, questions
    raise AssertionError("never over")


def test_a_server_that_answers_meanwhile_is_not_waited_for() -> None:
    """UDP is blocked; TCP passes."""
    assert silent(liveness(), lambda _: HERE) == (3.25, 2)


@pytest.mark.parametrize(
    "answering",
    (
        lambda _: None,  # no link, or a server that stands still
        lambda _: THERE,  # which is not a reason by itself
        lambda after_s: HERE if after_s > 3 else None,  # the link is back: so may be the media, in a moment
        lambda after_s: HERE if after_s < 3 else None,
    ),
    ids=("none", "another", "at last", "at first"),
)
def test_a_server_that_does_not_answer_twice_is_waited_for(answering: Callable[[float], str | None]) -> None:
    after_s, questions = silent(liveness(), answering)
    assert after_s == 4.25
    assert questions == 3


@pytest.mark.parametrize("step", (0.25, 1.0))
def test_without_permission_responses_alone_prove_enough(step: float) -> None:
    """Nothing is published, so nothing is reported; the server answers every probe."""
    judge = liveness(stall_s=3.0)
    watch(judge, seconds(20))
    for now in seconds(600, step, BEGAN + 20.25):
        judge.update(TransportStats(responses=int(now / 2.5)), {}, now)
        if judge.wants_probe(now):
            judge.probed(HERE, now)
        assert judge.reason(now) is None


def test_answers_of_an_earlier_doubt_say_nothing() -> None:
    judge = liveness()
    watch(judge, seconds(10))
    judge.probed(HERE, BEGAN + 12.5)
    assert silent(judge, lambda after_s: HERE if after_s > 3 else None)[0] == 4.25


@pytest.mark.parametrize("age_s", (-1e8, 1e8))
def test_a_clock_that_jumps_ages_no_report_by_more_than_a_look(age_s: float) -> None:
    judge = liveness()
    for number, now in enumerate(seconds(20)):
        reports = {"camera": Report(at_us=number, age_s=age_s)}
        judge.update(TransportStats(responses=None, reports=reports, sent={"camera": number}), {"camera": number}, now)
        assert (judge.reason(now), judge.in_doubt(now)) == (None, False)


def test_a_process_that_stood_still_takes_what_came_meanwhile_as_new() -> None:
    judge = liveness()
    watch(judge, seconds(20))
    assert watch(judge, [BEGAN + 60, BEGAN + 61]) == ("", BEGAN + 61)


@pytest.mark.parametrize("lost", PROOF)
def test_with_packets_lost_any_proof_is_enough_for_ten_seconds(lost: str) -> None:
    judge = liveness()
    assert watch(judge, seconds(30), moving=until(BEGAN + 20, lost)) == ("", BEGAN + 30)
    judge = liveness()
    others = set(PROOF) - {lost}
    assert watch(judge, seconds(30), moving=until(BEGAN + 20, *others)) == ("", BEGAN + 30)


def test_stun_alone_may_be_silent() -> None:
    assert watch(liveness(), seconds(600), moving=until(BEGAN + 20, "responses")) == ("", BEGAN + 600)


@pytest.mark.parametrize("name", BOTH)
def test_no_receiver_report_of_one_medium_is_a_stall_in_the_end(name: str) -> None:
    judge = liveness()
    reason, when = watch(judge, seconds(60), moving=until(BEGAN + 20, f"report {name}"))
    assert (reason, when) == (DELIVERY_STALLED.name, BEGAN + 31)
    stall = judge.reason(when)
    assert stall
    assert (stall.culprit, stall.age_s) == (f"{name} transport", 11.0)


def test_a_stream_that_is_fed_but_not_sent_is_named() -> None:
    judge = liveness()
    _, when = watch(judge, seconds(60), moving=until(BEGAN + 20, "report camera", "sent camera"))
    stall = judge.reason(when)
    assert stall
    assert stall.culprit == "camera sending"


def test_what_is_not_sent_has_the_whole_limit_while_nothing_comes_back() -> None:
    moving = until(BEGAN + 20, *PROOF, "sent camera", "sent microphone")
    assert watch(liveness(stall_s=9.0), seconds(60), moving=moving)[1] == BEGAN + 30
    moving = until(BEGAN + 20, "sent camera")
    assert watch(liveness(stall_s=9.0), seconds(60), moving=moving)[1] == BEGAN + 23


def test_an_interruption_restarts_the_limits() -> None:
    """Three seconds without proof, in which nothing was sent either; then proof comes, and no picture leaves."""

    def moving(what: str, now: float) -> bool:
        return not (BEGAN + 20 < now < BEGAN + 23 and "fed" not in what) and (
            now <= BEGAN + 20 or what != "sent camera"
        )

    assert watch(liveness(), seconds(60, 0.25), moving=moving)[1] == BEGAN + 23 + 2.75


def test_a_recovery_of_the_sdk_restarts_the_limits() -> None:
    """Seen: the slate, one picture a second, and an SDK that had just come back by itself."""
    judge, stopped_at, resumed_at = liveness(), BEGAN + 20, BEGAN + 23
    watch(judge, seconds(20))
    judge.update_sdk(reconnecting=True, now=stopped_at)
    judge.update_sdk(reconnecting=False, now=resumed_at)
    moments = seconds(30, 1.0, stopped_at + 1)
    assert watch(judge, moments, moving=lambda what, _now: what != "sent camera")[1] == resumed_at + 3


@pytest.mark.parametrize("stall_s", (3.0, 4.0, 30.0))
def test_the_limit_is_the_configurations(stall_s: float) -> None:
    moving = until(BEGAN + 50, *PROOF)
    assert watch(liveness(stall_s=stall_s), seconds(99, 0.125), moving=moving)[1] == BEGAN + 50 + stall_s + 0.125


def test_half_the_limit_makes_doubtful() -> None:
    judge = liveness()
    assert not judge.in_doubt(BEGAN + 2)
    assert judge.in_doubt(BEGAN + 2.1)
    watch(judge, seconds(20))
    assert not judge.in_doubt(BEGAN + 22)
    assert judge.in_doubt(BEGAN + 22.1)


@pytest.mark.parametrize("name", BOTH)
def test_a_source_that_pauses_ends_no_session(name: str) -> None:
    still = (f"fed {name}", f"sent {name}", f"report {name}")
    assert watch(liveness(), seconds(600), moving=until(BEGAN + 20, *still)) == ("", BEGAN + 600)


def test_a_source_that_goes_on_has_as_long_as_any_to_be_reported() -> None:
    """And not longer."""
    pause = ("fed camera", "sent camera", "report camera")

    def moving(what: str, now: float) -> bool:
        paused = BEGAN + 20 < now < BEGAN + 60
        return what not in pause or (not paused and (what != "report camera" or now < BEGAN + 60))

    assert watch(liveness(), seconds(99), moving=moving) == (DELIVERY_STALLED.name, BEGAN + 71)


def test_a_medium_without_permission_is_not_missed() -> None:
    """The tracks were taken away: the device stays, and what is not published is not reported."""
    judge = liveness()
    watch(judge, seconds(20))
    for now in seconds(60, begin=BEGAN + 20):
        judge.update(TransportStats(responses=now), {}, now)
        assert judge.reason(now) is None
    # Published again: the first report has the patience of any first one.
    for now in seconds(9, begin=BEGAN + 81):
        judge.update(TransportStats(responses=now), {"camera": int(now * 30)}, now)
        assert judge.reason(now) is None


def test_the_first_proof_has_ten_seconds() -> None:
    """A connection by TCP, after UDP has failed, takes longer than a stall may."""

    def missing(what: str, _now: float) -> bool:
        return not what.startswith(("responses", "report"))

    judge = liveness()
    for now in seconds(10):
        judge.update(TransportStats(responses=None), {"camera": int(now * 30), "microphone": int(now * 50)}, now)
        assert judge.reason(now) is None
    assert named(judge.reason(BEGAN + 10.1)) == DELIVERY_STALLED.name
    assert watch(liveness(stall_s=30.0), seconds(99), moving=missing)[1] == BEGAN + 31


def test_a_late_first_proof_is_proof() -> None:
    judge = liveness()
    for now in seconds(9):
        judge.update(TransportStats(responses=None), {}, now)
    assert watch(judge, seconds(60, begin=BEGAN + 9.5)) == ("", BEGAN + 69.5)


def test_what_vanishes_is_no_proof() -> None:
    judge = liveness()
    watch(judge, seconds(20))
    for now in seconds(30, begin=BEGAN + 21):
        judge.update(TransportStats(responses=None), {"camera": int(now * 30)}, now)
        if reason := judge.reason(now):
            break
    assert (named(reason), now) == (DELIVERY_STALLED.name, BEGAN + 25)


def test_no_evidence_at_all_is_none_of_life() -> None:
    judge = liveness()
    watch(judge, seconds(20))
    assert judge.reason(BEGAN + 24) is None
    assert named(judge.reason(BEGAN + 24.1)) == DELIVERY_STALLED.name
    assert liveness().reason(BEGAN + 10) is None
    assert named(liveness().reason(BEGAN + 10.1)) == DELIVERY_STALLED.name


@pytest.mark.parametrize("fps", (1, 2, 5, 30))
def test_a_slow_picture_is_judged_like_any(fps: int) -> None:
    """Samples come twice a second here, as they do while the SDK reconnects or the link changes."""
    judge, culprit = liveness(), ""
    for now in seconds(60, 0.5):
        report = min(now, BEGAN + 20)
        judge.update(
            TransportStats(responses=now, reports={"camera": arrived(report, now)}), {"camera": int(now * fps)}, now
        )
        if stall := judge.reason(now):
            culprit = stall.culprit
            break
    assert culprit.startswith("camera")
    assert now <= BEGAN + 31


@given(
    steps=st.lists(st.floats(0.05, 1.0), min_size=1, max_size=300),
    still=st.lists(st.integers(0, 2), min_size=7, max_size=7),
    stall_s=st.floats(4.0, 60.0),
)
def test_no_reason_while_all_values_move_every_three_seconds(
    steps: list[float], still: list[int], stall_s: float
) -> None:
    """Each value has its own rhythm of up to three seconds, what is sent of two; samples are up to a second apart."""
    moments = [BEGAN]
    for step in steps:
        moments.append(moments[-1] + step)
    names = ("responses", *(f"{part} {name}" for part in ("report", "sent", "fed") for name in BOTH))
    changed = dict.fromkeys(names, BEGAN)

    def moving(what: str, now: float) -> bool:
        if now - changed[what] < min(still[names.index(what)], 1 if "sent" in what else 2):
            return False
        changed[what] = now
        return True

    assert watch(liveness(stall_s=stall_s), moments, moving=moving)[0] == ""


def random_moments(seed: int, *lengths: float) -> list[float]:
    """Return moments up to a second apart."""
    chance, moments = random.Random(seed), [BEGAN]
    while moments[-1] < BEGAN + sum(lengths):
        moments.append(moments[-1] + chance.uniform(0.05, 1.0))
    return moments


@given(seed=st.integers(0, 2**32), well_s=st.floats(0, 60), stall_s=st.floats(3.0, 60.0), fed=st.booleans())
def test_always_a_reason_when_all_stands_still(*, seed: int, well_s: float, stall_s: float, fed: bool) -> None:
    moments = random_moments(seed, well_s, stall_s + 5)
    stood_at = max(each for each in moments if each <= BEGAN + well_s)
    still = {*PROOF, "sent camera", "sent microphone"} | (set() if fed else {"fed camera", "fed microphone"})
    reason, when = watch(liveness(stall_s=stall_s), moments, moving=until(stood_at, *still))
    assert reason == DELIVERY_STALLED.name
    assert stood_at + stall_s < when <= stood_at + stall_s + 1.0


@given(seed=st.integers(0, 2**32), name=st.sampled_from(BOTH), stall_s=st.floats(3.0, 60.0))
def test_always_a_reason_when_one_report_stands_still(seed: int, name: str, stall_s: float) -> None:
    limit_s = max(stall_s, 10.0)
    moments = random_moments(seed, 20, limit_s + 5)
    stood_at = moments[20]
    reason, when = watch(liveness(stall_s=stall_s), moments, moving=until(stood_at, f"report {name}"))
    assert reason == DELIVERY_STALLED.name
    assert stood_at + limit_s < when <= stood_at + limit_s + 1.0


def alive(judge: LivenessPolicy, now: float) -> None:
    judge.update(TransportStats(responses=now), {}, now)


def test_a_server_that_was_away_and_is_back_ends_the_session() -> None:
    judge = liveness()
    judge.update_sdk(reconnecting=True, now=BEGAN)
    assert judge.reconnecting
    judge.probed(None, BEGAN)
    alive(judge, BEGAN + 1)
    assert judge.reason(BEGAN + 1) is None
    judge.probed(HERE, BEGAN + 1)
    assert judge.settling
    assert judge.reason(BEGAN + 1) is None
    assert judge.reason(BEGAN + 1.4) is SERVER_RETURNED


def test_a_server_that_was_never_away_is_left_to_the_sdk() -> None:
    judge = liveness()
    judge.update_sdk(reconnecting=True, now=BEGAN)
    for now in seconds(15):
        alive(judge, now)
        judge.probed(HERE, now)
        judge.update_sdk(reconnecting=True, now=now)
        assert judge.reason(now) is None
    alive(judge, BEGAN + 15.5)
    assert judge.reason(BEGAN + 15.5) is SDK_RECONNECTING


def test_the_sdk_has_its_seconds_each_time() -> None:
    judge = liveness()
    for now in seconds(600):
        alive(judge, now)
        judge.update_sdk(reconnecting=now % 14 > 0, now=now)
        assert judge.reason(now) is None


def test_away_counts_for_one_reconnection_only() -> None:
    judge = liveness()
    judge.update_sdk(reconnecting=True, now=BEGAN)
    judge.probed(None, BEGAN)
    judge.update_sdk(reconnecting=False, now=BEGAN + 1)
    assert not judge.reconnecting
    judge.update_sdk(reconnecting=True, now=BEGAN + 2)
    judge.probed(HERE, BEGAN + 2)
    alive(judge, BEGAN + 2)
    assert judge.reason(BEGAN + 2) is None


def test_another_server_of_the_list_that_answers_is_taken() -> None:
    judge = liveness()
    judge.update_sdk(reconnecting=True, now=BEGAN)
    judge.probed(THERE, BEGAN)
    assert judge.reason(BEGAN) is SERVER_AWAY


def test_our_own_address_changed() -> None:
    judge = liveness()
    for address in ("192.0.2.7", None, "", "192.0.2.7", None):  # away, unknown, and back as it was
        judge.update_address(address)
        assert judge.reason(BEGAN) is None
    judge.update_address("192.0.2.8")
    assert judge.reason(BEGAN) is ADDRESS_CHANGED


def test_an_address_that_was_not_known_is_learned() -> None:
    judge = LivenessPolicy(stall_s=LIMIT, published_at=BEGAN, url=HERE)
    judge.update_address("192.0.2.7")
    assert judge.reason(BEGAN) is None
    judge.update_address("2001:db8::7")
    assert judge.reason(BEGAN) is ADDRESS_CHANGED


def test_no_clock_is_read() -> None:
    """Time is supplied: a jump of the wall clock, of years, changes nothing."""
    for path in Path(package.__path__[0]).glob("*.py"):
        tree = ast.parse(path.read_text())
        names = {name.name for each in ast.walk(tree) if isinstance(each, ast.Import) for name in each.names}
        names |= {str(each.module) for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)}
        assert not {name.partition(".")[0] for name in names} & {"time", "datetime", "asyncio"}
