"""The SDK's statistics, as far as the liveness policy and the tracks need them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from device.room.liveness import Report, TransportStats

if TYPE_CHECKING:
    from livekit import rtc

_LIMIT_S = 1.0


async def sample(room: rtc.Room) -> TransportStats | None:
    """Ask the SDK; None where it does not answer, which is no evidence at all."""
    try:
        async with asyncio.timeout(_LIMIT_S):
            statistics = await room.get_rtc_stats()
    except (TimeoutError, RuntimeError):
        return None
    pairs, selected, taken_at_us = {}, "", 0
    reported_at_us: dict[str, int] = {}
    sent: dict[str, int] = {}
    lost: dict[str, float] = {}
    for each in statistics.publisher_stats:
        match each.WhichOneof("stats"):
            case "transport":
                selected = each.transport.transport.selected_candidate_pair_id
                taken_at_us = each.transport.rtc.timestamp
            case "candidate_pair":
                pair = each.candidate_pair
                pairs[pair.rtc.id] = pair.candidate_pair
            case "remote_inbound_rtp":
                inbound = each.remote_inbound_rtp
                reported_at_us[inbound.stream.kind] = inbound.rtc.timestamp
                lost[inbound.stream.kind] = inbound.remote_inbound.fraction_lost
            case "outbound_rtp":
                outbound = each.outbound_rtp
                kind = outbound.stream.kind
                sent[kind] = outbound.outbound.frames_sent if kind == "video" else outbound.sent.packets_sent
            case _:
                continue
    chosen = pairs.get(selected) or next((pair for pair in pairs.values() if pair.nominated), None)
    return TransportStats(
        responses=(selected, chosen.responses_received) if chosen else None,
        reports={kind: Report(at_us, (taken_at_us - at_us) / 1e6) for kind, at_us in reported_at_us.items()},
        sent=sent,
        lost=lost,
    )
