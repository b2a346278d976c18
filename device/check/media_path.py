"""Which way media takes, by the SDK's statistics of a Room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from device.network.address import host_and_port

if TYPE_CHECKING:
    from collections.abc import Iterable

    from livekit import rtc
    from livekit.rtc._proto.stats_pb2 import RtcStats

    from device.check.report import Report
    from device.check.signal import Offered

_RELAY = "relay"
_MOST = 3
_TYPES = {0: "host", 1: "srflx", 2: "prflx", 3: _RELAY}  # IceCandidateType of the SDK's stats.proto


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPath:
    """The path in use. `protocol`: "udp" or "tcp", to `address`, which is the server's own, or a relay's peer."""

    protocol: str
    address: str
    relayed: bool

    def __str__(self) -> str:
        through = " through a TURN server" if self.relayed else ""
        return f"over {self.protocol.upper()} to {self.address}{through}"


def path_of(statistics: Iterable[RtcStats]) -> MediaPath | None:
    """Return the path in use; None if there is none."""
    pairs, candidates, selected = {}, {}, ""
    for each in statistics:
        match each.WhichOneof("stats"):
            case "candidate_pair":
                pairs[each.candidate_pair.rtc.id] = each.candidate_pair.candidate_pair
            case "local_candidate":
                candidates[each.local_candidate.rtc.id] = each.local_candidate.candidate
            case "remote_candidate":
                candidates[each.remote_candidate.rtc.id] = each.remote_candidate.candidate
            case "transport":
                selected = each.transport.transport.selected_candidate_pair_id
    pair = pairs.get(selected) or next((each for each in pairs.values() if each.nominated), None)
    if pair is None or not (local := candidates.get(pair.local_candidate_id)):
        return None
    remote = candidates.get(pair.remote_candidate_id)
    return MediaPath(
        protocol=(local.protocol or "udp").lower(),
        address=host_and_port(remote.address, remote.port) if remote else "an unknown address",
        relayed=_TYPES.get(local.candidate_type) == _RELAY,
    )


async def report_path(report: Report, room: rtc.Room, offered: Offered | None) -> None:
    """Report the way that media takes, and whether UDP works."""
    statistics = await room.get_rtc_stats()
    found = path_of(statistics.publisher_stats) or path_of(statistics.subscriber_stats)
    if found is None:
        report.skipped("media", "the SDK's statistics do not say which way it takes")
        return
    report.good("media", str(found))
    targets = _udp_targets(offered)
    if found.relayed:
        return
    if found.protocol == "udp":
        report.good("udp", f"{found.address} answers")
    elif targets:
        hint = "allow UDP to this: over TCP, media is late when packets are lost"
        report.warn("udp", f"no answer from {', '.join(targets)}", hint=hint)


def report_blocked(report: Report, offered: Offered | None, *, relay_only: bool) -> None:
    """Report that UDP did not work for a join whose media did not get through."""
    targets = _udp_targets(offered)
    if targets and not relay_only:
        report.bad("udp", f"no answer from {', '.join(targets)}", hint="allow UDP to this in the firewall")


def _udp_targets(offered: Offered | None) -> list[str]:
    """Return where the server takes media over UDP; the first few."""
    candidates = offered.candidates if offered else ()
    return [host_and_port(address, port) for protocol, address, port in candidates if protocol == "udp"][:_MOST]
