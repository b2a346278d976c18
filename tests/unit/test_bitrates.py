"""What each stream sends, from the samples of the room."""

from __future__ import annotations

from device.telemetry.bitrates import Bitrates
from device.telemetry.sampler import Sample
from device.telemetry.transport_stats import TransportStats


def sample(at: float, **sent_bytes: int) -> Sample:
    return Sample(stats=TransportStats(responses=None, sent_bytes=sent_bytes), fed={}, at=at)


def test_a_rate_is_what_was_sent_between_two_samples() -> None:
    bitrates = Bitrates()
    bitrates.sampled(sample(10.0, camera=0))
    assert bitrates.of("camera") == 0
    bitrates.sampled(sample(10.25, camera=1_000))  # close samples do not count
    bitrates.sampled(sample(12.0, camera=250_000, microphone=9_000))
    assert bitrates.of("camera") == 1_000_000
    assert bitrates.of("microphone") == 0
    bitrates.sampled(sample(13.0, camera=250_000, microphone=15_000))
    assert (bitrates.of("camera"), bitrates.of("microphone")) == (0, 48_000)


def test_a_new_publication_counts_from_the_start() -> None:
    bitrates = Bitrates()
    bitrates.sampled(sample(1.0, camera=1_000_000))
    bitrates.sampled(sample(2.0, camera=100))
    assert bitrates.of("camera") == 0


def test_nothing_is_sent_after_a_session() -> None:
    bitrates = Bitrates()
    bitrates.sampled(sample(1.0, camera=0))
    bitrates.sampled(sample(2.0, camera=1_000))
    bitrates.ended("other")
    assert bitrates.of("camera") == 0
    bitrates.sampled(sample(3.0, camera=2_000))
    assert bitrates.of("camera") == 0
