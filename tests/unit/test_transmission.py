"""What reaches the room, across sessions."""

from __future__ import annotations

from device.media.reception import Reception
from device.room.reasons import DELIVERY_STALLED, LABELS, Reason, delivery_stalled, label_of
from device.telemetry.sampler import Sample
from device.telemetry.transmission import Transmission
from device.telemetry.transport_stats import Report, TransportStats


def sample(at: float, *, sent: int, sent_bytes: int, report_age_s: float = 0.5, lost: float = 0.0) -> Sample:
    stats = TransportStats(
        responses=None,
        reports={"camera": Report(0, report_age_s)},
        sent={"camera": sent},
        receptions={"camera": Reception(0, lost, 0.02, 0, 0)},
        sent_bytes={"camera": sent_bytes},
        round_trip_s=0.02,
    )
    return Sample(stats=stats, fed={}, at=at)


def test_a_frame_is_sent_when_the_count_changes() -> None:
    transmission = Transmission()
    transmission.sampled(sample(10.0, sent=0, sent_bytes=0))
    assert "camera" not in transmission.sent_at
    transmission.sampled(sample(11.0, sent=30, sent_bytes=1000))
    transmission.sampled(sample(12.0, sent=30, sent_bytes=1000, report_age_s=1.5, lost=0.25))
    assert transmission.sent_at == {"camera": 11.0}
    assert transmission.acknowledged_at == {"camera": 10.5}
    assert (transmission.lost, transmission.round_trip_s) == ({"camera": 0.25}, 0.02)


def test_bytes_add_up_over_publications_and_sessions() -> None:
    transmission = Transmission()
    for sent_bytes in (1000, 3000, 500):  # published again
        transmission.sampled(sample(1.0, sent=1, sent_bytes=sent_bytes))
    transmission.ended("server_away")
    transmission.sampled(sample(9.0, sent=1, sent_bytes=4000))
    assert transmission.sent_bytes == {"camera": 7500}
    assert transmission.sent_at == {"camera": 9.0}


def test_without_a_session_the_ages_grow_and_nothing_is_lost() -> None:
    transmission = Transmission()
    transmission.sampled(sample(1.0, sent=1, sent_bytes=1))
    transmission.ended("server_away")
    transmission.ended("server_away")
    assert (transmission.lost, transmission.round_trip_s) == ({}, None)
    assert transmission.sent_at == {"camera": 1.0}
    assert transmission.ends == {"server_away": 2}


def test_each_reason_has_a_label_of_a_closed_set() -> None:
    assert label_of(delivery_stalled(culprit="camera", age_s=4.0)) == label_of(DELIVERY_STALLED) == "delivery_stalled"
    assert label_of(Reason(name="A_NEW_ONE", text="")) == "other"
    assert len(set(LABELS)) == len(LABELS)
