"""The SDK's statistics of a Room, as far as the liveness policy and the tracks need them, by the name of the stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from device.media.reception import Reception

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from livekit.rtc._proto.stats_pb2 import RtcStats


class Report(NamedTuple):
    """The newest receiver report: when it came, in microseconds of a clock that may jump, and its age in seconds."""

    at_us: int
    age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportStats:
    """One sample. Values mean nothing but that they change while all is well.

    `responses`: STUN responses on the selected candidate pair. By the name of the stream: `reports`, the newest
    receiver report; `sent`, frames of a video track or packets of an audio track; `receptions`, what
    is known about the packets; `sent_bytes`, what was sent of it, with RTP; `taken_s`, the seconds of sound that were
    taken from the source of an audio track; `active`, whether the SDK sends it at all: with dynacast not what nobody
    watches. `round_trip_s` is that of the selected candidate pair, in seconds.
    """

    responses: object
    reports: Mapping[str, Report] = field(default_factory=dict)
    sent: Mapping[str, int] = field(default_factory=dict)
    receptions: Mapping[str, Reception] = field(default_factory=dict)
    taken_s: Mapping[str, float] = field(default_factory=dict)
    sent_bytes: Mapping[str, int] = field(default_factory=dict)
    active: Mapping[str, bool] = field(default_factory=dict)
    round_trip_s: float | None = None


def track_identifiers(statistics: Iterable[RtcStats]) -> set[str]:
    """Return the identifiers of the WebRTC tracks that are sent."""
    return {
        each.media_source.source.track_identifier for each in statistics if each.WhichOneof("stats") == "media_source"
    }


def is_active(statistics: Iterable[RtcStats]) -> bool | None:
    """Return whether a track is sent at all, by its own statistics; None if they do not say."""
    found = [each.outbound_rtp.outbound.active for each in statistics if each.WhichOneof("stats") == "outbound_rtp"]
    return any(found) if found else None


def read_stats(statistics: Iterable[RtcStats], names: Mapping[str, str]) -> TransportStats:
    """Return a sample of a Room's publisher statistics; `names` has the stream of each WebRTC track identifier.

    Sources, senders and reports refer to each other by ids: report → outbound → media source → track.
    """
    pairs, selected, taken_at_us = {}, "", 0
    sources, outbounds, inbounds, taken_s = {}, {}, [], {}
    for each in statistics:
        match each.WhichOneof("stats"):
            case "transport":
                selected = each.transport.transport.selected_candidate_pair_id
                taken_at_us = each.transport.rtc.timestamp
            case "candidate_pair":
                pairs[each.candidate_pair.rtc.id] = each.candidate_pair.candidate_pair
            case "media_source":
                identifier = sources[each.media_source.rtc.id] = each.media_source.source.track_identifier
                if identifier in names and each.media_source.source.kind == "audio":
                    taken_s[names[identifier]] = each.media_source.audio.total_samples_duration
            case "outbound_rtp":
                outbounds[each.outbound_rtp.rtc.id] = each.outbound_rtp
            case "remote_inbound_rtp":
                inbounds.append(each.remote_inbound_rtp)
            case _:
                continue
    streams = {
        number: name
        for number, each in outbounds.items()
        if (name := names.get(sources.get(each.outbound.media_source_id, "")))
    }
    reported = [(name, each) for each in inbounds if (name := streams.get(each.remote_inbound.local_id))]
    chosen = pairs.get(selected) or next((pair for pair in pairs.values() if pair.nominated), None)
    return TransportStats(
        responses=(selected, chosen.responses_received) if chosen else None,
        reports={name: Report(each.rtc.timestamp, (taken_at_us - each.rtc.timestamp) / 1e6) for name, each in reported},
        taken_s=taken_s,
        receptions={
            name: Reception(
                at_us=each.rtc.timestamp,
                lost=each.remote_inbound.fraction_lost,
                rtt_s=each.remote_inbound.round_trip_time,
                sent=outbounds[each.remote_inbound.local_id].sent.packets_sent,
                resent=outbounds[each.remote_inbound.local_id].outbound.retransmitted_packets_sent,
            )
            for name, each in reported
        },
        sent={
            name: sender.outbound.frames_sent if sender.stream.kind == "video" else sender.sent.packets_sent
            for number, name in streams.items()
            if (sender := outbounds[number])
        },
        sent_bytes={name: outbounds[number].sent.bytes_sent for number, name in streams.items()},
        active={name: outbounds[number].outbound.active for number, name in streams.items()},
        round_trip_s=chosen.current_round_trip_time if chosen and chosen.responses_received else None,
    )
