"""Weeks of whatever may happen, in virtual time: there is always a next step, never a burst, never an end of trying."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from livekit import rtc

from device.room.join_policy import Action, Joining
from device.room.reasons import reason_named
from device.tokens.join_token import IdentityHolder

HOUR_S, DAY_S = 3600.0, 86400.0
# What the caller's own limits are: one probe, one look at the participants, one join.
PROBE_TOOK_S, LOOK_TOOK_S, JOIN_TOOK_S = 1.5, 5.0, 30.0
MIN_BETWEEN_JOINS_S = 1.0
REASONS = (*rtc.DisconnectReason.keys(), "DELIVERY_STALLED", "SERVER_AWAY", "ADDRESS_CHANGED", "NEW_IN_THE_SDK")
WAITS = {"ROOM_DELETED": (60, 60), "ROOM_CLOSED": (60, 60), "PARTICIPANT_REMOVED": (300, 1800)}


@dataclass(slots=True)
class Changing:
    """Something that is up and down by turns, from milliseconds to hours; asked for ever later moments."""

    chance: random.Random
    down_s: float
    up: bool = True
    since: float = 0.0
    until: float = 0.0

    def at(self, now: float) -> bool:
        while self.until <= now:
            self.since, self.up = self.until, not self.up
            longest_s = 6 * HOUR_S if self.up else self.down_s
            self.until += 0.001 + longest_s * self.chance.random() ** 6
        return self.up


@dataclass(slots=True)
class World:
    """Does what the policy says, as `Presence` does, and holds it to its promises at each step."""

    policy: Joining
    chance: random.Random
    server: Changing
    link: Changing
    now: float = 0.0
    ready_at: float = 0.0  # nothing of our own making holds us up from here on
    not_before: float = 0.0
    answered: bool = False
    has_route: bool = True
    excused: bool = True  # the next probe may come sooner than probe_s / 2 after the last
    probes: list[float] = field(default_factory=list)
    joins: list[float] = field(default_factory=list)
    steps: Counter[int] = field(default_factory=Counter)
    links: Counter[int] = field(default_factory=Counter)

    def run(self, horizon_s: float) -> None:
        while self.now < horizon_s:
            linked = self.link.at(self.now)
            if linked and not self.has_route:
                self.excused = True
                self.links[int(self.now // HOUR_S)] += 1
            self.has_route = linked
            self.answered &= linked
            self.policy.route(up=linked, now=self.now)
            step = self.policy.next(self.now)
            self.steps[int(self.now // HOUR_S)] += 1
            assert linked or step.action is Action.WAIT
            match step.action:
                case Action.WAIT:
                    assert step.until > self.now
                    self.check_that_it_goes_on(min(step.until, self.link.until))
                    self.now = min(step.until, self.link.until)
                case Action.PROBE:
                    self.probe()
                case Action.CHECK_IDENTITY:
                    self.look()
                case Action.JOIN:
                    self.join()

    def check_that_it_goes_on(self, until: float) -> None:
        """With server and link up and no wait of its own, a rest ends in time."""
        if self.has_route and self.server.at(self.now):
            well_since = max(self.ready_at, self.server.since, self.link.since)
            policy = self.policy
            in_time = policy.probe_s + PROBE_TOOK_S + policy.spread_s + MIN_BETWEEN_JOINS_S + LOOK_TOOK_S
            assert until - well_since <= in_time

    def probe(self) -> None:
        if not self.excused:
            assert self.now - self.probes[-1] >= self.policy.probe_s / 2 - 1e-6
        assert self.now >= self.not_before
        self.excused = False
        self.probes.append(self.now)
        self.now += self.chance.choice((0.0, 0.01, PROBE_TOOK_S * self.chance.random(), PROBE_TOOK_S))
        self.answered = self.server.at(self.now) and self.link.at(self.now)
        self.policy.probed(answered=self.answered, now=self.now)

    def look(self) -> None:
        assert self.answered
        self.now += self.chance.choice((0.0, LOOK_TOOK_S * self.chance.random()))
        identity_holder = self.chance.choice(tuple(IdentityHolder))
        hold_s = self.policy.identity_checked(identity_holder, self.now)
        assert hold_s <= 4500
        assert (hold_s == 0) == (identity_holder is IdentityHolder.ABSENT)
        if hold_s:
            self.hold(hold_s)

    def join(self) -> None:
        assert self.answered
        assert self.now >= self.not_before
        if self.joins:
            assert self.now - self.joins[-1] >= MIN_BETWEEN_JOINS_S - 1e-6
        self.joins.append(self.now)
        self.now += self.chance.choice((0.0, 0.2, JOIN_TOOK_S * self.chance.random()))
        if not self.server.at(self.now) or not self.link.at(self.now) or self.chance.random() < 0.2:
            delay_s = self.policy.failed(self.now)
            assert 0 <= delay_s <= self.policy.max_s
            self.link_may_end_it(delay_s)
        else:
            published_for_s = DAY_S * self.chance.random() ** self.chance.choice((2, 40, 200, 2000))
            if self.chance.random() < 0.8:  # trouble is noticed
                published_for_s = min(published_for_s, min(self.server.until, self.link.until) - self.now + 4)
            self.now += published_for_s
            name = self.chance.choice(REASONS)
            delay_s = self.policy.ended(
                reason_named(name), published_for_s=published_for_s, clean=self.chance.random() < 0.5, now=self.now
            )
            least_s, most_s = WAITS.get(name, (0, 2))
            assert least_s <= delay_s <= most_s
            self.hold(delay_s)

    def hold(self, delay_s: float) -> None:
        self.link_may_end_it(delay_s)
        self.not_before = self.now + delay_s

    def link_may_end_it(self, delay_s: float) -> None:
        self.answered, self.excused = False, True
        self.ready_at = self.now + delay_s


CHANCES = {"least": lambda low, _high: low, "most": lambda _low, high: high}


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32),
    uniform=st.sampled_from(("least", "most", "random", "random")),
    down_s=st.sampled_from((1.0, 60.0, HOUR_S, 12 * HOUR_S)),
    probe_s=st.sampled_from((0.5, 2.0, 60.0)),
    spread_s=st.sampled_from((0.0, 1.0, 60.0, 3600.0)),
    max_s=st.sampled_from((1.0, 30.0, 3600.0)),
)
def test_weeks_of_everything(
    *, seed: int, uniform: str, down_s: float, probe_s: float, spread_s: float, max_s: float
) -> None:
    chance = random.Random(seed)
    policy = Joining(
        probe_s=probe_s, spread_s=spread_s, max_s=max_s, uniform=CHANCES.get(uniform, random.Random(seed + 1).uniform)
    )
    world = World(
        policy=policy, chance=chance, server=Changing(chance, down_s=down_s), link=Changing(chance, down_s=down_s)
    )
    weeks_s = 21 * DAY_S
    world.run(weeks_s)
    joins = Counter(int(each // HOUR_S) for each in world.joins)
    probes = Counter(int(each // HOUR_S) for each in world.probes)
    assert world.joins
    assert max(joins.values()) <= HOUR_S / MIN_BETWEEN_JOINS_S
    for hour, steps in world.steps.items():
        # Each link that returns and each join that ends is worth one probe more, each probe at most four steps.
        allowed = HOUR_S / (probe_s / 2) + world.links[hour] + joins[hour] + 2
        assert probes[hour] <= allowed
        assert steps <= 4 * (allowed + world.links[hour])


@dataclass(slots=True)
class Twins:
    """Two devices with one identity, at a server that is well: who joins last evicts the other."""

    devices: list[Joining]
    looks: bool
    inside: dict[int, float] = field(default_factory=dict)
    joins: list[tuple[float, int]] = field(default_factory=list)
    looked: list[float] = field(default_factory=list)

    def run(self, until: float, leaves: tuple[int, float] = (-1, 0.0)) -> None:
        agenda = [(0.0, 0), (0.3, 1)]
        while agenda and agenda[0][0] < until:
            now, me = heapq.heappop(agenda)
            if me == leaves[0] and now >= leaves[1]:
                continue
            if leaves[0] in self.inside and now >= leaves[1]:
                del self.inside[leaves[0]]
            step = self.devices[me].next(now)
            match step.action:
                case Action.WAIT:
                    heapq.heappush(agenda, (step.until, me))
                    continue
                case Action.PROBE:
                    now += 0.01
                    self.devices[me].probed(answered=True, now=now)
                case Action.CHECK_IDENTITY:
                    self.looked.append(now)
                    there = IdentityHolder.PRESENT if self.inside else IdentityHolder.ABSENT
                    self.devices[me].identity_checked(there if self.looks else IdentityHolder.UNKNOWN, now)
                case Action.JOIN:
                    self.joins.append((now, me))
                    for other, since in self.inside.items():
                        self.devices[other].ended(
                            reason_named("DUPLICATE_IDENTITY"), published_for_s=now - since, clean=True, now=now
                        )
                        heapq.heappush(agenda, (now, other))
                    self.inside = {me: now}
                    continue
            heapq.heappush(agenda, (now, me))


def twins(seed: int, *, looks: bool) -> Twins:
    def device(chance: random.Random) -> Joining:
        return Joining(probe_s=2.0, spread_s=1.0, max_s=30.0, uniform=chance.uniform)

    return Twins([device(random.Random(seed)), device(random.Random(seed + 1))], looks=looks)


@pytest.mark.parametrize("seed", range(0, 20, 2))
def test_of_two_with_a_key_one_loses_and_looks(seed: int) -> None:
    pair = twins(seed, looks=True)
    pair.run(600)
    assert [device for _, device in pair.joins] == [0, 1]
    assert 7 <= len(pair.looked) <= 10
    pair = twins(seed, looks=True)
    pair.run(30 * DAY_S)
    assert len(pair.joins) == 2


@pytest.mark.parametrize("seed", range(0, 20, 2))
def test_the_loser_takes_over_when_the_winner_has_gone(seed: int) -> None:
    pair = twins(seed, looks=True)
    pair.run(1000, leaves=(1, 400.0))
    assert [device for _, device in pair.joins] == [0, 1, 0]
    assert 400 <= pair.joins[-1][0] <= 400 + 75 + 2 + 1


@pytest.mark.parametrize("seed", range(0, 20, 2))
def test_two_with_fixed_tokens_evict_each_other_ever_more_seldom(seed: int) -> None:
    pair = twins(seed, looks=False)
    pair.run(600)
    assert 4 <= len(pair.joins) <= 8
    pair = twins(seed, looks=False)
    pair.run(7 * DAY_S)
    evictions = [now for now, _ in pair.joins]
    assert 7 * 24 / 1.25 <= len(evictions) <= 7 * 24 + 14  # a wait is drawn from 1 to 1.25 hours
    for device in (0, 1):
        mine = [now for now, who in pair.joins if who == device]
        assert all(later - sooner > 60 for sooner, later in pairwise(mine))
        assert all(later - sooner > HOUR_S for sooner, later in pairwise(mine[8:]))


def fleet(*, devices: int, spread_s: float, probe_s: float = 2.0, away_s: float = 300.0) -> list[float]:
    """Return when each of a fleet joins, after a server's return at 0."""
    joins = []
    for number in range(devices):
        policy = Joining(
            probe_s=probe_s, spread_s=spread_s, max_s=30.0, uniform=random.Random(f"device {number}").uniform
        )
        now = -away_s
        while (step := policy.next(now)).action is not Action.JOIN:
            if step.action is Action.PROBE:
                policy.probed(answered=now >= 0, now=now)
            else:
                now = step.until
        joins.append(now)
    return sorted(joins)


def test_a_fleet_spreads_evenly() -> None:
    """1000 devices, spread_s = 60: 16.7 a second; 1000 / 6 in each ten seconds, give or take four deviations."""
    joins = fleet(devices=1000, spread_s=60)
    assert joins[0] >= 0
    assert joins[-1] <= 62
    assert all(120 <= sum(begin <= each < begin + 10 for each in joins) <= 215 for begin in range(1, 51, 10))
    assert max(Counter(int(each) for each in joins).values()) <= 36


def test_without_a_spread_all_join_within_one_probe() -> None:
    joins = fleet(devices=1000, spread_s=0)
    assert joins[0] >= 0
    assert joins[-1] <= 2
    assert max(Counter(int(each * 4) for each in joins).values()) > 100
