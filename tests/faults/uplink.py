"""The data that a device sends and that passes the link, by the counters of the router's interfaces."""

from __future__ import annotations

import asyncio
import contextlib
import time
from bisect import bisect_left
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.faults.network import Network

_EVERY_S = 0.1
_WINDOW_S = 1.0
_ETHERNET_BYTES = 14  # the interfaces count these bytes, the policer does not


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Bytes of IP so far: from the devices, and to the servers. `at`: monotonic, s."""

    at: float
    arrived: int
    passed: int


@dataclass(slots=True)
class Uplink:
    samples: list[Sample] = field(default_factory=list)

    def passed_bps(self, begin: float, end: float) -> float:
        """Return the mean rate that passed, in bits per second."""
        first, last = self._at(begin), self._at(end)
        return 8 * (last.passed - first.passed) / (last.at - first.at)

    def longest_above_s(self, limit_bps: float, begin: float, end: float) -> float:
        """Return the longest time in which more than this was sent, as a mean of the last second each."""
        longest, since = 0.0, None
        for sample in self.samples:
            if not begin + _WINDOW_S <= sample.at <= end:
                continue
            before = self._at(sample.at - _WINDOW_S)
            above = 8 * (sample.arrived - before.arrived) / (sample.at - before.at) > limit_bps
            since = (since or sample.at) if above else None
            longest = max(longest, sample.at - since if since is not None else 0.0)
        return longest

    def _at(self, moment: float) -> Sample:
        return self.samples[min(bisect_left(self.samples, moment, key=lambda each: each.at), len(self.samples) - 1)]


@contextlib.asynccontextmanager
async def metered(network: Network) -> AsyncIterator[Uplink]:
    """Count while the context lasts."""
    uplink = Uplink()

    async def count() -> None:
        while True:
            uplink.samples.append(_sample(network))
            await asyncio.sleep(_EVERY_S)

    counting = asyncio.create_task(count())
    try:
        yield uplink
    finally:
        counting.cancel()


def arrived_bytes(network: Network, interface: str) -> int:
    """Return the bytes of IP that a device's interface of the router has received so far."""
    arrived, packets, *_ = _counters(network)[interface]
    return arrived - _ETHERNET_BYTES * packets


def _counters(network: Network) -> dict[str, list[int]]:
    """Return the counters of the router's interfaces: received bytes and packets first, sent ones ninth and tenth."""
    counters = {}
    for line in Path(f"/proc/{network.router.pid}/net/dev").read_text().splitlines()[2:]:  # proc_pid_net(5)
        name, _, numbers = line.partition(":")
        counters[name.strip()] = [int(each) for each in numbers.split()]
    return counters


def _sample(network: Network) -> Sample:
    counters = _counters(network)
    arrived, arrived_packets, *_ = counters["south"]
    passed, passed_packets = counters["north"][8:10]
    return Sample(
        at=time.monotonic(),
        arrived=arrived - _ETHERNET_BYTES * arrived_packets,
        passed=passed - _ETHERNET_BYTES * passed_packets,
    )
