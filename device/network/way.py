"""Our own end of the way to the server, as rtnetlink(7) shows it: interface, address, and whether it works."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Any

_RUNNING, _LOOPBACK = 0x40, 0x8  # IFF_RUNNING: it has a carrier; IFF_LOOPBACK (netdevice(7))
_BEYOND_THE_LINK = 0  # RT_SCOPE_UNIVERSE
_NOT_USABLE = 0x08 | 0x40  # IFA_F_DADFAILED, IFA_F_TENTATIVE (linux/if_addr.h); IFA_F_DEPRECATED is still valid
# What the kernel answers where no route leads to an address.
_NO_WAY = frozenset(
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
class Way:
    """Our own end of the way to the server: the interface and its address that the kernel would take."""

    interface: str
    address: str


UNKNOWN = Way("", "")  # where the kernel does not say: nothing is held back then


def way_to(netlink: Any, target: str, *, held: Way | None = None) -> Way | None:
    """Return our end of the way to an address; to anywhere, if that is empty.

    `held` is what was used until now. It stays the way for as long as its address is valid on the interface of the
    route: connections keep their address, although the kernel takes a new one for new connections (RFC 8981, 3.4: a
    temporary address is replaced long before it ends).

    Raises NetlinkError where the question has to be asked again, as for a dump that a change has interrupted.
    """
    if not target:
        return _any_way(netlink)
    answer = _link_of_route(netlink, target)
    if answer is None:
        return None
    link, source = answer
    if not link["flags"] & _RUNNING:
        return None
    interface = link.get_attr("IFLA_IFNAME")
    replaced = held is not None and held.interface == interface and held.address not in ("", source)
    if held and replaced and held.address in _valid_addresses(netlink, link["index"]):
        return held
    return Way(interface, source)


def _link_of_route(netlink: Any, target: str) -> tuple[Any, str] | None:
    from pyroute2 import NetlinkError

    try:
        (route,) = netlink.route("get", dst=target)
        (link,) = netlink.get_links(route.get_attr("RTA_OIF"))
    except ValueError:
        return None
    except NetlinkError as error:
        if error.code in _NO_WAY:
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
    return int(address.get_attr("IFA_FLAGS") or address["flags"])  # the header has room for the first eight only


def _any_way(netlink: Any) -> Way | None:
    links = {link["index"]: link for link in netlink.get_links()}
    for address in netlink.get_addr():
        link = links.get(address["index"])
        if link is None or link["flags"] & _LOOPBACK or not link["flags"] & _RUNNING:
            continue
        if address["scope"] == _BEYOND_THE_LINK:
            return UNKNOWN
    return None
