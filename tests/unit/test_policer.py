"""Policed links in virtual time. tests/unit/test_policer_recorded.py has the reports of real ones."""

from __future__ import annotations

import pytest

from device.tracks.policer import Policer
from tests.unit.policed_link import Link, run


def report(policer: Policer, now: float, sent_bps: float, lost: float, *, rtt_s: float = 0.02) -> None:
    policer.reported(sent_bps=sent_bps, lost=lost, rtt_s=rtt_s, now=now)


@pytest.mark.parametrize("kbps", (300, 600, 1200))
@pytest.mark.parametrize("burst_s", (0.2, 1.0, 3.0))
def test_a_policers_rate_is_learned_and_kept(kbps: int, burst_s: float) -> None:
    policer, link = Policer(), Link(bps=kbps * 1000, burst_s=burst_s)
    found = run(policer, lambda _now: link, seconds=240)
    assert policer.rate_bps is not None
    assert 0.7 * link.bps < policer.rate_bps < 1.1 * link.bps
    assert found.lost(60, 240) < 0.02
    assert found.mean_bps(60, 240) > 0.75 * link.bps


def test_without_the_memory_the_estimate_falls_again_and_again() -> None:
    """The model is as bad as the real thing, or these tests would prove nothing."""

    class Forgetful(Policer):
        def limit(self, wanted_bps: int, now: float) -> int:  # noqa: ARG002 - the same call
            return wanted_bps

    link = Link(bps=600_000)
    found = run(Forgetful(), lambda _now: link, seconds=240)
    assert found.lost(60, 240) > 0.05
    assert found.mean_bps(60, 240) < 0.75 * link.bps


@pytest.mark.parametrize(("before", "after"), ((300, 2500), (300, 600), (600, 1200)))
def test_a_link_that_is_released_is_noticed(before: int, after: int) -> None:
    policer, slow, fast = Policer(), Link(bps=before * 1000), Link(bps=after * 1000)
    found = run(policer, lambda now: slow if now < 40 else fast, seconds=120)
    assert found.first_above(0.85 * fast.bps, 40) < 40


def test_probes_get_rarer() -> None:
    policer, link = Policer(), Link(bps=600_000)
    found = run(policer, lambda _now: link, seconds=900)
    above = [number / 10 for number, each in enumerate(found.bps) if each > 1.2 * link.bps]
    begins = [each for each, before in zip(above[1:], above, strict=False) if each - before > 1]
    assert len([each for each in begins if each > 450]) <= 5
    assert begins


def test_random_loss_is_no_policer() -> None:
    policer, link = Policer(), Link(bps=10_000_000)
    found = run(policer, lambda _now: link, seconds=600, random_loss=0.2)
    assert found.mean_bps(30, 600) > 0.9 * 2_500_000


@pytest.mark.parametrize("lost", (0.01, 0.05, 0.09))
def test_a_few_lost_packets_are_ignored(lost: float) -> None:
    policer = Policer()
    for second in range(60):
        report(policer, second, 1_000_000, lost)
    assert policer.rate_bps is None


def test_a_queue_that_fills_is_left_to_the_sdk() -> None:
    policer = Policer()
    for second in range(10):
        report(policer, second, 1_000_000, 0.0)
    for second in range(10, 20):
        report(policer, second, 1_000_000, 0.3, rtt_s=0.4)
    assert policer.rate_bps is None


def test_a_probe_that_the_pictures_do_not_use_proves_nothing() -> None:
    policer = Policer()
    report(policer, 0, 1_000_000, 0.4)
    assert policer.rate_bps == 600_000
    for tick in range(1200):
        policer.limit(2_500_000, tick / 10)
        if tick % 10 == 0:
            report(policer, tick / 10, 100_000, 0.0)
    assert policer.rate_bps == 600_000
