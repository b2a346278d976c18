"""What moved, and when: the values of one session that change for as long as it is alive. Pure; times in seconds.

The SDK's own state, accepted frames and sent bytes prove nothing. What the server returns does: STUN responses, and
receiver reports for the streams that are fed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from device.telemetry.transport_stats import TransportStats

NEVER = float("-inf")
# A value that changed since the last sample did so at any time since. Samples are no further apart than this, unless
# the process was suspended.
_SAMPLES_APART_S = 1.0
_PAUSE_S = 2.0  # longer than between two pictures at 1 fps


@dataclass(slots=True)
class Moving:
    """A value, and since when it has not changed."""

    value: object = None
    changed_at: float = NEVER

    def update(self, value: object, now: float) -> None:
        """Take a sample of the value; None is no sample."""
        if value is not None and value != self.value:
            self.value, self.changed_at = value, now

    @property
    def ever_changed(self) -> bool:
        return self.changed_at > NEVER


@dataclass(slots=True)
class StreamProgress:
    """What is known of one published stream."""

    fed: Moving = field(default_factory=Moving)  # units or blocks that the SDK was given
    sent: Moving = field(default_factory=Moving)  # frames or packets that the SDK sent
    report: Moving = field(default_factory=Moving)  # the newest receiver report
    fed_since: float | None = None  # without a pause

    def update_fed(self, count: int, now: float) -> None:
        """Note how much the SDK was given so far."""
        if self.fed.value is not None and count != self.fed.value and self.fed_since is None:
            self.fed_since = now
        self.fed.update(count, now)
        if now - self.fed.changed_at > _PAUSE_S:
            self.fed_since = None


@dataclass(slots=True)
class Progress:
    """The samples of one session, by the name of the stream."""

    responses: Moving = field(default_factory=Moving, init=False)
    streams: dict[str, StreamProgress] = field(default_factory=dict, init=False)
    _sampled_at: float = field(default=NEVER, init=False)

    def update(self, stats: TransportStats, fed: Mapping[str, int], now: float) -> None:
        """Take one sample of the SDK's statistics; `fed` names the streams that are published and not muted."""
        earliest = max(self._sampled_at, now - _SAMPLES_APART_S)
        self._sampled_at = now
        # Beside reports, which carry their time, a response counts from the earliest possible moment.
        self.responses.update(stats.responses, earliest if self.reported else now)
        for name in self.streams.keys() - fed.keys():
            del self.streams[name]
        for name, count in fed.items():
            stream = self.streams.setdefault(name, StreamProgress())
            stream.update_fed(count, now)
            stream.sent.update(stats.sent.get(name), now)
            if report := stats.reports.get(name):
                stream.report.update(report.at_us, min(max(earliest, now - report.age_s), now))

    @property
    def reported(self) -> bool:
        """Whether receiver reports arrive, which they do once a second; STUN responses may be 2.5 s apart."""
        return any(each.report.ever_changed and each.fed_since is not None for each in self.streams.values())

    @property
    def confirmed_at(self) -> float:
        """When the server last returned anything. With a fifth of all packets lost no single value is recent."""
        reports = (each.report.changed_at for each in self.streams.values())
        return max(self.responses.changed_at, *reports, NEVER)
