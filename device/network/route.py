"""The device's own link: its side of the way to the server, as the kernel tells of each change (rtnetlink(7))."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import select
import threading
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = structlog.get_logger()

_RUNNING, _LOOPBACK = 0x40, 0x8  # IFF_RUNNING: it has a carrier; IFF_LOOPBACK (netdevice(7))
_BEYOND_THE_LINK = 0  # RT_SCOPE_UNIVERSE
_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Way:
    """Our own end of the way to the server: the interface and its address that the kernel would take."""

    interface: str
    address: str


UNKNOWN = Way("", "")  # where the kernel does not tell: nothing is held back then


class Routes:
    """`way` is None while there is no way to the server; `changed` is set whenever it has become another."""

    def __init__(self) -> None:
        self.way: Way | None = UNKNOWN
        self.changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._target = ""
        self._poke, self._poked = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def aim(self, host: str) -> None:
        """Ask from now on for the way to this address; for a name that is not resolved yet, any way will do."""
        try:
            address = "127.0.0.1" if host == "localhost" else str(ipaddress.ip_address(host))
        except ValueError:
            address = ""
        if address != self._target:
            self._target = address
            self._wake()

    def stop(self) -> None:
        """End the thread."""
        self._target = "\0"
        self._wake()

    def work(self) -> None:
        """Watch until stopped; runs in a thread of its own, for pyroute2 waits by itself."""
        try:
            self._watch()
        except Exception as error:  # a thread's exception would pass unseen  # noqa: BLE001
            log.warning("network.unwatched", error=f"{type(error).__name__}: {error}", hint="AF_NETLINK is needed")
            self._tell(UNKNOWN)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._poked, b"\0")

    def _watch(self) -> None:
        # It says at a warning that a sandbox has no /proc/net, and lowers its own level when imported.
        logging.getLogger("pyroute2.netlink").setLevel(logging.ERROR)
        from pyroute2 import IPRoute  # 10 MB and a quarter of a second: not before the workers run
        from pyroute2.netlink.rtnl import (
            RTMGRP_IPV4_IFADDR,
            RTMGRP_IPV4_ROUTE,
            RTMGRP_IPV6_IFADDR,
            RTMGRP_IPV6_ROUTE,
            RTMGRP_LINK,
        )

        with IPRoute() as events, IPRoute() as questions:
            events.bind(
                groups=RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE
            )
            while (target := self._target) != "\0":
                self._tell(_way(questions, target))
                ready, _, _ = select.select([events.fileno(), self._poke], [], [])
                if self._poke in ready:
                    os.read(self._poke, _CHUNK)
                if events.fileno() in ready:
                    with contextlib.suppress(OSError):  # more changes than its buffer holds: one look covers all
                        events.get()

    def _tell(self, way: Way | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self._become, way)

    def _become(self, way: Way | None) -> None:
        if way != self.way:
            if UNKNOWN not in (way, self.way):
                log.info("network.link", up=way is not None, address=way.address if way else None)
            self.way = way
            self.changed.set()


@asynccontextmanager
async def watching() -> AsyncIterator[Routes]:
    """Watch the kernel's routes for as long as the context lasts."""
    routes = Routes()
    threading.Thread(target=routes.work, name="netlink", daemon=True).start()
    try:
        yield routes
    finally:
        routes.stop()


def _way(netlink: Any, target: str) -> Way | None:
    """Return our end of the way to an address; to anywhere, if that is empty."""
    from pyroute2 import NetlinkError

    if not target:
        return _any_way(netlink)
    try:
        (route,) = netlink.route("get", dst=target)
        (link,) = netlink.get_links(route.get_attr("RTA_OIF"))
    except (NetlinkError, ValueError):
        return None
    if not link["flags"] & _RUNNING:
        return None
    return Way(link.get_attr("IFLA_IFNAME"), route.get_attr("RTA_PREFSRC") or "")


def _any_way(netlink: Any) -> Way | None:
    links = {link["index"]: link for link in netlink.get_links()}
    for address in netlink.get_addr():
        link = links.get(address["index"])
        if link is None or link["flags"] & _LOOPBACK or not link["flags"] & _RUNNING:
            continue
        if address["scope"] == _BEYOND_THE_LINK:
            return UNKNOWN
    return None
