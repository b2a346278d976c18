"""The SDK's statistics by the name of the stream, from its own message types."""

from __future__ import annotations

from typing import Any

from livekit.rtc._proto.stats_pb2 import RtcStats

from device.media.reception import Reception
from device.telemetry.transport_stats import Report, read_stats, track_identifiers

NAMES = {"track-1": "front", "track-2": "back", "track-3": "hall"}


def entry(kind: str, **fields: Any) -> RtcStats:
    """Return one entry; a field `a__b` is set inside of `a`."""
    found = RtcStats()
    part = getattr(found, kind)
    for path, value in fields.items():
        *folders, name = path.split("__")
        target = part
        for folder in folders:
            target = getattr(target, folder)
        setattr(target, name, value)
    return found


def sender(number: int, kind: str, *, sent: int, lost: float, reported_at_us: int) -> list[RtcStats]:
    count = {"outbound__frames_sent": sent} if kind == "video" else {"sent__packets_sent": sent}
    return [
        entry(
            "media_source",
            rtc__id=f"S{number}",
            source__track_identifier=f"track-{number}",
            source__kind=kind,
            audio__total_samples_duration=sent / 100,
        ),
        entry(
            "outbound_rtp",
            rtc__id=f"O{number}",
            stream__kind=kind,
            outbound__media_source_id=f"S{number}",
            outbound__retransmitted_packets_sent=7,
            **count,
        ),
        entry(
            "remote_inbound_rtp",
            rtc__timestamp=reported_at_us,
            stream__kind=kind,
            remote_inbound__local_id=f"O{number}",
            remote_inbound__fraction_lost=lost,
            remote_inbound__round_trip_time=0.05,
        ),
    ]


def test_streams_of_one_kind_are_distinguished() -> None:
    statistics = [
        entry("transport", transport__selected_candidate_pair_id="P2", rtc__timestamp=9_000_000),
        entry("candidate_pair", rtc__id="P1", candidate_pair__responses_received=1),
        entry("candidate_pair", rtc__id="P2", candidate_pair__responses_received=7),
        *sender(1, "video", sent=100, lost=0.25, reported_at_us=8_500_000),
        *sender(2, "video", sent=200, lost=0.0, reported_at_us=7_000_000),
        *sender(3, "audio", sent=300, lost=0.5, reported_at_us=8_000_000),
    ]
    stats = read_stats(reversed(statistics), NAMES)
    assert stats.responses == ("P2", 7)
    assert stats.sent == {"front": 100, "back": 200, "hall": 300}
    assert stats.receptions == {
        "front": Reception(8_500_000, 0.25, 0.05, 0, 7),
        "back": Reception(7_000_000, 0.0, 0.05, 0, 7),
        "hall": Reception(8_000_000, 0.5, 0.05, 300, 7),
    }
    assert stats.taken_s == {"hall": 3.0}
    assert stats.reports == {
        "front": Report(8_500_000, 0.5),
        "back": Report(7_000_000, 2.0),
        "hall": Report(8_000_000, 1.0),
    }
    assert track_identifiers(statistics) == {"track-1", "track-2", "track-3"}


def test_a_track_that_is_not_ours_is_left_out() -> None:
    stats = read_stats(sender(4, "video", sent=1, lost=0.0, reported_at_us=1), NAMES)
    assert (stats.sent, stats.reports, stats.receptions, stats.responses) == ({}, {}, {}, None)
