"""Bounds how often a wrong secret can be tried. Pure: the caller supplies the time."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass, field

BURST = 10
REFILL_S = 6.0
"""Of each client: ten wrong secrets at once, then ten in a minute. A secret has 128 bits."""

ALL_BURST = 100
ALL_REFILL_S = 0.6
"""Of all clients together, who may have many addresses."""

CLIENTS = 256
_IPV6_NETWORK = 64  # one client can use all addresses of its network


@dataclass(slots=True, kw_only=True)
class _Bucket:
    burst: int
    refill_s: float
    left: float
    at_s: float

    def allow(self, now_s: float) -> bool:
        self.left = min(self.burst, self.left + max(0.0, now_s - self.at_s) / self.refill_s)
        self.at_s = now_s
        return self.left >= 1


@dataclass(slots=True)
class Tries:
    """Counts wrong secrets by client, in a table of bounded size."""

    _all: _Bucket = field(
        default_factory=lambda: _Bucket(burst=ALL_BURST, refill_s=ALL_REFILL_S, left=ALL_BURST, at_s=0.0)
    )
    _clients: OrderedDict[str, _Bucket] = field(default_factory=OrderedDict)

    def allow(self, client: str | None, now_s: float) -> bool:
        """Return whether a secret of this client is looked at now."""
        bucket = self._clients.get(_network(client))
        return self._all.allow(now_s) and (bucket is None or bucket.allow(now_s))

    def failed(self, client: str | None, now_s: float) -> None:
        """Count a wrong secret."""
        key = _network(client)
        bucket = self._clients.pop(key, None) or _Bucket(burst=BURST, refill_s=REFILL_S, left=BURST, at_s=now_s)
        self._clients[key] = bucket
        bucket.left -= 1
        self._all.left -= 1
        if len(self._clients) > CLIENTS:
            self._clients.popitem(last=False)


def _network(client: str | None) -> str:
    try:
        address = ipaddress.ip_address((client or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        if mapped := address.ipv4_mapped:
            return str(mapped)
        return str(ipaddress.ip_network((address, _IPV6_NETWORK), strict=False))
    return str(address)
