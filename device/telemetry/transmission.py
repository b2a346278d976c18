"""What reaches the room, from the samples of all sessions since the daemon's start."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from device.telemetry.sampler import Sample


class SampleListener(Protocol):
    """Gets each sample of each session, and then why the session ended."""

    def sampled(self, sample: Sample) -> None: ...
    def ended(self, reason: str) -> None: ...


@dataclass(slots=True)
class Transmission:
    """Times are monotonic seconds; all but `ends` by the name of the stream.

    `sent_at`: when the SDK last sent a frame or packet; `acknowledged_at`: of the newest receiver report; `sent_bytes`:
    with RTP; `lost`: the share of packets, 0 to 1, that the newest report misses, only during a session. `ends` counts
    sessions by why they ended. `round_trip_s` is None without a session.
    """

    sent_at: dict[str, float] = field(default_factory=dict, init=False)
    acknowledged_at: dict[str, float] = field(default_factory=dict, init=False)
    sent_bytes: dict[str, int] = field(default_factory=dict, init=False)
    lost: dict[str, float] = field(default_factory=dict, init=False)
    round_trip_s: float | None = field(default=None, init=False)
    ends: dict[str, int] = field(default_factory=dict, init=False)
    _frames: dict[str, int] = field(default_factory=dict, init=False)
    _bytes: dict[str, int] = field(default_factory=dict, init=False)

    def sampled(self, sample: Sample) -> None:
        stats = sample.stats
        for name, count in stats.sent.items():
            if count != self._frames.get(name, 0):
                self._frames[name], self.sent_at[name] = count, sample.at
        for name, report in stats.reports.items():
            self.acknowledged_at[name] = sample.at - report.age_s
        for name, total in stats.sent_bytes.items():
            before = self._bytes.get(name, 0)
            # A track that is published again counts from 0.
            self.sent_bytes[name] = self.sent_bytes.get(name, 0) + (total - before if total >= before else total)
            self._bytes[name] = total
        self.lost = {name: each.lost for name, each in stats.receptions.items()}
        self.round_trip_s = stats.round_trip_s

    def ended(self, reason: str) -> None:
        """Note that a session has ended; the next one counts from 0."""
        self.ends[reason] = self.ends.get(reason, 0) + 1
        self._frames, self._bytes, self.lost, self.round_trip_s = {}, {}, {}, None
