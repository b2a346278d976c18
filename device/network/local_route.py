"""The device's end of the route to the server, from rtnetlink(7): interface, address, and whether the link is up."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Any

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


def local_route_to(netlink: Any, target: str, *, current: LocalRoute | None = None) -> LocalRoute | None:
    """Return the local end of the route to an address, or of any route if the address is empty; None without a route.

    `current` is the previous result. It is returned again as long as its address is valid on the route's interface:
    existing connections keep their address, although the kernel uses a new one for new connections (RFC 8981, 3.4: a
    temporary address is replaced long before it expires).

    Raises NetlinkError if the query must be repeated, for example because a change has interrupted a dump.
    """
    if not target:
        return _any_route(netlink)
    answer = _link_of_route(netlink, target)
    if answer is None:
        return None
    link, source = answer
    if not link["flags"] & _RUNNING:
        return None
    interface = link.get_attr("IFLA_IFNAME")
    replaced = current is not None and current.interface == interface and current.address not in ("", source)
    if current and replaced and current.address in _valid_addresses(netlink, link["index"]):
        return current
    return LocalRoute(interface, source)


def _link_of_route(netlink: Any, target: str) -> tuple[Any, str] | None:
    from pyroute2 import NetlinkError

    try:
        (route,) = netlink.route("get", dst=target)
        (link,) = netlink.get_links(route.get_attr("RTA_OIF"))
    except ValueError:
        return None
    except NetlinkError as error:
        if error.code in _NO_ROUTE:
            return None
        raise
    return link, route.get_attr("RTA_PREFSRC") or ""


def _valid_addresses(netlink: Any, index: int) -> set[str]:
    return {
        address.get_attr("IFA_LOCAL") or address.get_attr("IFA_ADDRESS")
        for address in netlink.get_addr()
        if address["index"] == index and not _flags(address) & _NOT_USABLE
    }


def _flags(address: Any) -> int:
    return int(address.get_attr("IFA_FLAGS") or address["flags"])  # the header has only the first eight bits


def _any_route(netlink: Any) -> LocalRoute | None:
    links = {link["index"]: link for link in netlink.get_links()}
    for address in netlink.get_addr():
        link = links.get(address["index"])
        if link is None or link["flags"] & _LOOPBACK or not link["flags"] & _RUNNING:
            continue
        if address["scope"] == _GLOBAL_SCOPE:
            return UNKNOWN
    return None
