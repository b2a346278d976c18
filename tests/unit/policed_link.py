"""A policed link, an SDK whose estimate follows the policer's burst, and an encoder that obeys, in virtual time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from device.tracks.policer import Policer

TICK_S = 0.1
_START_BPS, _CEILING_BPS = 500_000, 2_500_000
_GROWTH = 1.25  # of the encoder's bitrate, in half a second
# The SDK's bound after losses (libwebrtc: LossBasedBweV2), and how long it then stays low.
_BALANCE_BPS, _TOLERATED = 75_000, 0.05
_OBSERVED_S, _WEIGHT, _LEAST_BPS, _LOW_S = 0.3, 0.9, 30_000, 5.0


@dataclass(slots=True)
class Sdk:
    """An estimate that grows until losses bound it."""

    bps: float = _START_BPS
    _weighted: float = field(default=0.0, init=False)  # the share of lost packets, the newest ones first
    _low_until: float = field(default=0.0, init=False)
    _observed: list[tuple[float, float]] = field(default_factory=list, init=False)

    def tick(self, now: float, sent_bps: float, lost_bps: float) -> None:
        self._observed.append((sent_bps, lost_bps))
        if len(self._observed) >= round(_OBSERVED_S / TICK_S):
            lost = sum(each for _, each in self._observed) / sum(each for each, _ in self._observed)
            self._weighted = _WEIGHT * self._weighted + (1 - _WEIGHT) * lost
            self._observed.clear()
        if self._weighted > _TOLERATED:
            bound = max(_LEAST_BPS, _BALANCE_BPS / (self._weighted - _TOLERATED))
            if bound < self.bps:
                self.bps, self._low_until = bound, now + _LOW_S
        elif now >= self._low_until:
            self.bps = min(_CEILING_BPS, self.bps * _GROWTH ** (TICK_S / 0.5))


@dataclass(slots=True, kw_only=True)
class Link:
    """A token bucket that holds `burst_s` of the rate."""

    bps: float
    burst_s: float = 1.0
    _credit: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._credit = self.bps * self.burst_s

    def passed(self, bits: float) -> float:
        self._credit = min(self.bps * self.burst_s, self._credit + self.bps * TICK_S)
        passed = min(bits, self._credit)
        self._credit -= passed
        return passed


@dataclass(slots=True)
class Run:
    """What happened, by tenths of a second: the bitrate, what was lost of it, the SDK's target."""

    bps: list[float] = field(default_factory=list)
    lost_bps: list[float] = field(default_factory=list)
    targets: list[float] = field(default_factory=list)

    def lost(self, begin_s: float, end_s: float) -> float:
        """Return the share of the data that was lost in between."""
        first, last = round(begin_s / TICK_S), round(end_s / TICK_S)
        return sum(self.lost_bps[first:last]) / sum(self.bps[first:last])

    def mean_bps(self, begin_s: float, end_s: float) -> float:
        first, last = round(begin_s / TICK_S), round(end_s / TICK_S)
        return sum(self.bps[first:last]) / (last - first)

    def first_above(self, bps: float, begin_s: float) -> float:
        """Return the seconds from a moment to the first bitrate above this."""
        first = round(begin_s / TICK_S)
        return next(number for number, each in enumerate(self.bps[first:]) if each >= bps) * TICK_S


def run(policer: Policer, link_at: Callable[[float], Link], *, seconds: float, random_loss: float = 0.0) -> Run:
    """Send over the link that `link_at` returns for each moment. Reports come each second, 0.3 s late."""
    found, bitrate, sdk = Run(), float(_START_BPS), Sdk()
    recent: deque[tuple[float, float]] = deque(maxlen=round(1.0 / TICK_S))
    late: deque[tuple[float, float]] = deque()
    for tick in range(round(seconds / TICK_S)):
        now = tick * TICK_S
        wanted = policer.limit(int(sdk.bps), now)
        bitrate = min(wanted, bitrate * _GROWTH ** (TICK_S / 0.5))
        passed = link_at(now).passed(bitrate * TICK_S) * (1 - random_loss)
        lost_bps = bitrate - passed / TICK_S
        found.bps.append(bitrate)
        found.lost_bps.append(lost_bps)
        found.targets.append(sdk.bps)
        recent.append((bitrate, lost_bps))
        sdk.tick(now, bitrate, 0.0 if random_loss else lost_bps)
        if tick % round(1 / TICK_S) == 0 and tick:
            sent = sum(each for each, _ in recent)
            late.append((now + 0.3, sum(each for _, each in recent) / sent))
        if late and now >= late[0][0]:
            mean_bps = sum(each for each, _ in recent) / len(recent)
            policer.reported(sent_bps=mean_bps, lost=late.popleft()[1], rtt_s=0.02, now=now)
    return found
