"""Recognises an uplink that drops all data above a rate, and keeps the bitrate below it. Pure; times in seconds.

Such a policer lets a burst pass and delays nothing, so the SDK's estimate is too high for a second or two. Then most
packets are lost, and the estimate is far too low for 10 to 20 s. Below the policer's rate neither happens.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

# So many of the packets have to be lost, without a longer delay: then it is no queue that has filled.
_LOST, _LOST_AGAIN = 0.1, 0.03
_DELAY_S = 0.1
_REPORTS = 30  # the shortest round trip of so many reports is that of an empty queue
# What was sent while these packets were lost: the report is up to a second old, and covers a second.
_SENT_SAMPLES = 2
_SHARE = 0.92
# A policer's loss ends below its rate. If it goes on, it is random.
_BELOW, _STRIKES = 0.95, 3
_EPISODE_S = 3.0  # reports about one burst of losses: what was sent before is in them as well
_IGNORED_S, _MOST_IGNORED_S = 60.0, 600.0
# A probe sends more for 2.5 s, half a second of which passes until the encoder follows: with a burst of one second as
# credit, a tenth of a second's data is lost if the rate is the same as before.
_PROBE, _PROBE_S, _PROBE_MOST = 1.5, 2.5, 2.0
# Losses soon after a probe that passed: the burst is deeper, so that a probe has to last longer.
_SOON_S, _LONGEST_PROBE_S = 20.0, 10.0
_VERDICT_S = 2.0  # until the receiver's report about its last packets is here
_PROVEN = 1.2  # times the limit: less proves nothing
_PAUSE_S, _MOST_PAUSE_S, _LONGER = 8.0, 300.0, 1.5


@dataclass(slots=True)
class Policer:
    """`rate_bps` is what passes of this track, None if no policer is known. It outlives sessions: the link does too."""

    rate_bps: float | None = field(default=None, init=False)
    _round_trips: deque[float] = field(default_factory=lambda: deque(maxlen=_REPORTS), init=False)
    _sent: deque[float] = field(default_factory=lambda: deque(maxlen=_SENT_SAMPLES), init=False)
    _learned_at: float = field(default=float("-inf"), init=False)
    _strikes: int = field(default=0, init=False)
    _ignored_until: float = field(default=float("-inf"), init=False)
    _ignored_s: float = field(default=_IGNORED_S, init=False)
    _probing_since: float | None = field(default=None, init=False)
    _probe: float = field(default=_PROBE, init=False)  # times the rate
    _probe_s: float = field(default=_PROBE_S, init=False)
    _accepted_at: float = field(default=float("-inf"), init=False)
    _most_sent_bps: float = field(default=0.0, init=False)  # in this probe
    _next_probe_at: float = field(default=0.0, init=False)
    _pause_s: float = field(default=_PAUSE_S, init=False)

    def limit(self, wanted_bps: int, now: float) -> int:
        """Return the bitrate to use in place of this one."""
        if self.rate_bps is None:
            return wanted_bps
        limit_bps = self.rate_bps * _SHARE
        if self._probing_since is not None and now >= self._probing_since + self._probe_s + _VERDICT_S:
            self._accept(limit_bps, now)
            return self.limit(wanted_bps, now)
        if self._probing_since is None and now >= self._next_probe_at and wanted_bps >= limit_bps * _PROVEN:
            self._probing_since, self._most_sent_bps = now, 0.0
        if self._probing_since is not None and now < self._probing_since + self._probe_s:
            limit_bps *= self._probe
        return min(wanted_bps, int(limit_bps))

    def reported(self, *, sent_bps: float, lost: float, rtt_s: float, now: float) -> None:
        """Take a receiver's report, and what was sent in the second before it came."""
        self._sent.append(sent_bps)
        self._most_sent_bps = max(self._most_sent_bps, sent_bps)
        delayed = bool(self._round_trips) and rtt_s > min(self._round_trips) + _DELAY_S
        self._round_trips.append(rtt_s)
        if delayed or now < self._ignored_until:
            return
        if lost < (_LOST if self.rate_bps is None else _LOST_AGAIN):
            self._strikes = 0
            return
        sent_bps = max(self._sent)
        if self._probing_since is not None:
            self._fail(now)
        elif self.rate_bps is not None and now < self._learned_at + _EPISODE_S:
            self.rate_bps = max(self.rate_bps, sent_bps * (1 - lost))
        elif self.rate_bps is not None and sent_bps < self.rate_bps * _BELOW:
            self._strike(sent_bps * (1 - lost), now)
        else:
            self._learn(sent_bps * (1 - lost), now)

    def _learn(self, rate_bps: float, now: float) -> None:
        if now < self._accepted_at + _SOON_S:
            self._probe_s = min(2 * self._probe_s, _LONGEST_PROBE_S)
        self.rate_bps, self._learned_at = rate_bps, now
        self._next_probe_at = now + self._pause_s

    def _strike(self, rate_bps: float, now: float) -> None:
        self._strikes += 1
        if self._strikes < _STRIKES:
            self._learn(rate_bps, now)
            return
        self.rate_bps, self._strikes = None, 0
        self._ignored_until = now + self._ignored_s
        self._ignored_s = min(2 * self._ignored_s, _MOST_IGNORED_S)

    def _accept(self, limit_bps: float, now: float) -> None:
        self._probing_since = None
        if self._most_sent_bps < limit_bps * _PROVEN:
            self._next_probe_at = now + self._pause_s  # the pictures did not need as much
            return
        self.rate_bps, self._accepted_at = self._most_sent_bps / _SHARE, now
        self._probe, self._pause_s, self._next_probe_at = _PROBE_MOST, _PAUSE_S, now

    def _fail(self, now: float) -> None:
        self._probing_since, self._probe = None, _PROBE
        self._pause_s = min(self._pause_s * _LONGER, _MOST_PAUSE_S)
        self._next_probe_at = now + self._pause_s
