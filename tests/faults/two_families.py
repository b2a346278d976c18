"""IPv4 and IPv6 to the neighbour's namespace; either can be absent, or lose everything."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.faults.namespaces import run
from tests.faults.network import HOST
from tests.faults.servers import Node, started

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.network import Network

HOST6 = "2001:db8:1::1"
_NORTH6, _EAST6, _NEIGHBOUR6 = "2001:db8:1::254", "2001:db8:3::254", "2001:db8:3::2"
_NEIGHBOUR4 = "10.77.3.2/24"
_GATEWAY4 = "10.77.3.254"
_ON = "echo 0 >/proc/sys/net/ipv6/conf/{}/disable_ipv6"
_OFF = "echo 1 >/proc/sys/net/ipv6/conf/{}/disable_ipv6"
_SMALL, _ORDINARY = "1280", "1500"


@contextlib.contextmanager
def ipv6(network: Network) -> Iterator[None]:
    """Give server, router and neighbour IPv6, beside IPv4."""
    router, neighbour = network.router, network.neighbour
    run("sh", "-c", _ON.format("core"))
    router.run("sh", "-c", ";".join((_ON.format("north"), _ON.format("east"))))
    router.run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")
    neighbour.run("sh", "-c", _ON.format("uplink"))
    run("ip", "address", "add", f"{HOST6}/64", "dev", "core", "nodad")
    router.run("ip", "address", "add", f"{_NORTH6}/64", "dev", "north", "nodad")
    router.run("ip", "address", "add", f"{_EAST6}/64", "dev", "east", "nodad")
    neighbour.run("ip", "address", "add", f"{_NEIGHBOUR6}/64", "dev", "uplink", "nodad")
    run("ip", "-6", "route", "add", "default", "via", _NORTH6)
    neighbour.run("ip", "-6", "route", "add", "default", "via", _EAST6)
    try:
        yield
    finally:
        neighbour.run("sh", "-c", _OFF.format("uplink"))
        router.run("sh", "-c", ";".join((_OFF.format("north"), _OFF.format("east"))))
        run("sh", "-c", _OFF.format("core"))


@contextlib.contextmanager
def without_ipv4(network: Network) -> Iterator[None]:
    """Take the neighbour's IPv4 address away."""
    network.neighbour.run("ip", "address", "del", _NEIGHBOUR4, "dev", "uplink")
    try:
        yield
    finally:
        network.neighbour.run("ip", "address", "add", _NEIGHBOUR4, "dev", "uplink")
        network.neighbour.run("ip", "route", "replace", "default", "via", _GATEWAY4)


@contextlib.contextmanager
def losing_all(network: Network, family: str) -> Iterator[None]:
    """Drop all packets of a family, "ip" or "ip6", that the router forwards: no address is refused, none answers."""
    table = f"table {family} lost {{ chain forward {{\ntype filter hook forward priority 0; policy drop;\n}}\n}}\n"
    network.router.run("nft", "-f", "-", text=table)
    try:
        yield
    finally:
        network.router.run("nft", "delete", "table", family, "lost")


@contextlib.contextmanager
def small_packets(network: Network) -> Iterator[None]:
    """Let the router forward no packet of IPv4 over 1280 bytes; it says so, by ICMP, and both ends have 1500."""
    route = ("ip", "route", "replace")
    north = ("10.77.1.0/24", "dev", "north", "src", "10.77.1.254")
    east = ("10.77.3.0/24", "dev", "east", "src", _GATEWAY4)
    for each in (north, east):
        network.router.run(*route, *each, "mtu", "lock", _SMALL)
    try:
        yield
    finally:
        for each in (north, east):
            network.router.run(*route, *each, "mtu", _ORDINARY)


@dataclass(slots=True, kw_only=True)
class TwoFamilies(Node):
    """A server with an address of each family; viewers use that of IPv4."""

    def configuration(self) -> str:
        return (
            Node.configuration(self)
            .replace(f"bind_addresses: [{HOST}]", f'bind_addresses: ["{HOST}", "{HOST6}"]')
            .replace(f"  node_ip: {HOST}\n", "")
        )


def two_families(port: int) -> contextlib.AbstractContextManager[TwoFamilies]:
    return started(TwoFamilies, port)
