"""HTTP as this daemon speaks it: names by our own resolver, one connection a request."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Protocol

from device.network.proxy import proxy_for

if TYPE_CHECKING:
    import aiohttp


def family_of(address: str) -> socket.AddressFamily:
    """Return AF_INET6 or AF_INET for an address in numbers."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Names(Protocol):
    """What tells the addresses of a host, as `device.network.resolver` does."""

    async def resolve(self, host: str, *, within_s: float) -> list[str]: ...


def http_session(resolver: Names | None, *, within_s: float) -> aiohttp.ClientSession:
    """Return a session for one request, which may take so long in all; without a resolver, by the system's."""
    import aiohttp  # 8 MB that a device with a ready token never needs

    names: Any = _Names(resolver, within_s=within_s) if resolver else None
    connector = aiohttp.TCPConnector(resolver=names, use_dns_cache=False, force_close=True)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=within_s))


def proxy_arguments(url: str) -> dict[str, Any]:
    """Return what a request of aiohttp needs so that it uses the proxy that applies to a URL, if any."""
    proxy = proxy_for(url)
    if proxy is None:
        return {}
    headers = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else None
    return {"proxy": f"http://{proxy}", "proxy_headers": headers}


class _Names:
    """Our resolver in the form that aiohttp asks for (aiohttp.abc.AbstractResolver)."""

    def __init__(self, resolver: Names, *, within_s: float) -> None:
        self._resolver = resolver
        self._within_s = within_s

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_UNSPEC) -> list[dict[str, Any]]:
        found = []
        for address in await self._resolver.resolve(host, within_s=self._within_s):
            kind = family_of(address)
            if family in (socket.AF_UNSPEC, kind):
                found.append(
                    {
                        "hostname": host,
                        "host": address,
                        "port": port,
                        "family": kind,
                        "proto": 0,
                        "flags": socket.AI_NUMERICHOST,
                    }
                )
        return found

    async def close(self) -> None:
        """Do nothing: the resolver is everybody's."""
