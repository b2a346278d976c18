"""The device's end of the route to the server, from rtnetlink(7): interface, address, and whether the link is up."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from device.network.netlink import NetlinkError

if TYPE_CHECKING:
    from device.network.netlink import Address, Link, Route

_RUNNING, _LOOPBACK = 0x40, 0x8  # IFF_RUNNING: it has a carrier; IFF_LOOPBACK (netdevice(7))
_GLOBAL_SCOPE = 0  # RT_SCOPE_UNIVERSE
_NOT_USABLE = 0x08 | 0x40  # IFA_F_DADFAILED, IFA_F_TENTATIVE (linux/if_addr.h); IFA_F_DEPRECATED is still valid
# The kernel's errors when there is no route to an address.
_NO_ROUTE = frozenset(
    {
        errno.ENODEV,
        errno.ESRCH,
        errno.EACCES,
        errno.EINVAL,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.EADDRNOTAVAIL,
        errno.EAFNOSUPPORT,
        errno.EOPNOTSUPP,
    }
)


@dataclass(frozen=True, slots=True)
class LocalRoute:
    """The interface and the address that the kernel uses for connections to the server."""

    interface: str
    address: str


UNKNOWN = LocalRoute("", "")  # the kernel gives no answer; joins are attempted then


class Kernel(Protocol):
    """What answers: `Netlink`."""

    def links(self) -> list[Link]: ...

    def link(self, index: int) -> Link: ...

    def addresses(self) -> list[Address]: ...

    def route_to(self, address: str) -> Route: ...


def local_route_to(netlink: Kernel, target: str, *, current: LocalRoute | None = None) -> LocalRoute | None:
    """Return the local end of the route to an address, or of any route if the address is empty; None without a route.

    `current` is the previous result. It is returned again as long as its address is valid on the route's interface:
    existing connections keep their address, although the kernel uses a new one for new connections (RFC 8981, 3.4: a
    temporary address is replaced long before it expires).

    Raises NetlinkError if the query must be repeated, for example because a change has interrupted a dump.
    """
    if not target:
        return _any_route(netlink)
    try:
        route = netlink.route_to(target)
        link = netlink.link(route.index)
    except NetlinkError as error:
        if error.errno in _NO_ROUTE:
            return None
        raise
    if not link.flags & _RUNNING:
        return None
    replaced = current is not None and current.interface == link.name and current.address not in ("", route.source)
    if current and replaced and current.address in _valid_addresses(netlink, link.index):
        return current
    return LocalRoute(link.name, route.source)


def _valid_addresses(netlink: Kernel, index: int) -> set[str]:
    return {each.address for each in netlink.addresses() if each.index == index and not each.flags & _NOT_USABLE}


def _any_route(netlink: Kernel) -> LocalRoute | None:
    links = {each.index: each for each in netlink.links()}
    for address in netlink.addresses():
        link = links.get(address.index)
        if link is None or link.flags & _LOOPBACK or not link.flags & _RUNNING:
            continue
        if address.scope == _GLOBAL_SCOPE:
            return UNKNOWN
    return None
