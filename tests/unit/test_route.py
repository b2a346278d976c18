"""The device's own end of the way to the server, as a netlink tells it; and as this machine's own does, on loopback."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import structlog
from pyroute2 import NetlinkError

from device.network.route import UNKNOWN, Routes, Way, _way, watching

RUNNING, UP, LOOPBACK = 0x40, 0x1, 0x8
UNIVERSE, LINK_LOCAL = 0, 253
SOON_S = 20.0


class Message(dict[str, Any]):
    """A netlink message as pyroute2 has it: a header by keys, attributes by name."""

    def __init__(self, header: dict[str, Any], **attributes: Any) -> None:
        super().__init__(header)
        self._attributes = attributes

    def get_attr(self, name: str) -> Any:
        return self._attributes.get(name)


class Netlink:
    """Answers as a kernel with these links, addresses and routes would."""

    def __init__(
        self,
        links: dict[int, tuple[str, int]],
        *,
        addresses: tuple[tuple[int, int], ...] = (),
        routes: dict[str, tuple[int, str | None]] | None = None,
    ) -> None:
        self._links, self._addresses, self._routes = links, addresses, routes or {}

    def get_links(self, *indices: int) -> list[Message]:
        if any(index not in self._links for index in indices):
            raise NetlinkError(19, "No such device")
        return [
            Message({"index": index, "flags": flags}, IFLA_IFNAME=name)
            for index, (name, flags) in self._links.items()
            if index in (indices or self._links)
        ]

    def get_addr(self) -> list[Message]:
        return [Message({"index": index, "scope": scope}) for index, scope in self._addresses]

    def route(self, command: str, *, dst: str) -> list[Message]:
        assert command == "get"
        if dst not in self._routes:
            raise NetlinkError(101, "Network is unreachable")
        index, source = self._routes[dst]
        return [Message({}, RTA_OIF=index, RTA_PREFSRC=source)]


LO = ("lo", UP | RUNNING | LOOPBACK)
ETH = ("eth0", UP | RUNNING)
WLAN = ("wlan0", UP | RUNNING)
UNPLUGGED = ("eth0", UP)
THERE = "203.0.113.5"


@pytest.mark.parametrize(
    ("netlink", "way"),
    (
        (Netlink({1: LO, 2: ETH}, routes={THERE: (2, "192.0.2.7")}), Way("eth0", "192.0.2.7")),
        (Netlink({1: LO, 2: ETH, 3: WLAN}, routes={THERE: (3, "192.0.2.8")}), Way("wlan0", "192.0.2.8")),
        (Netlink({1: LO}, routes={THERE: (1, "127.0.0.1")}), Way("lo", "127.0.0.1")),
        (Netlink({2: ETH}, routes={THERE: (2, None)}), Way("eth0", "")),  # a route may have no source
        (Netlink({1: LO, 2: ETH}), None),
        (Netlink({1: LO, 2: UNPLUGGED}, routes={THERE: (2, "192.0.2.7")}), None),
        (Netlink({1: LO}, routes={THERE: (2, "192.0.2.7")}), None),  # the link has gone in between
    ),
)
def test_the_way_to_an_address(netlink: Netlink, way: Way | None) -> None:
    assert _way(netlink, THERE) == way


@pytest.mark.parametrize(
    ("netlink", "way"),
    (
        (Netlink({1: LO, 2: ETH}, addresses=((1, UNIVERSE), (2, UNIVERSE))), UNKNOWN),
        (Netlink({1: LO, 2: UNPLUGGED, 3: WLAN}, addresses=((2, UNIVERSE), (3, UNIVERSE))), UNKNOWN),
        (Netlink({}), None),
        (Netlink({1: LO, 2: ETH}), None),  # no address yet
        (Netlink({1: LO, 2: ETH}, addresses=((1, UNIVERSE),)), None),
        (Netlink({1: LO, 2: ETH}, addresses=((2, LINK_LOCAL),)), None),
        (Netlink({1: LO, 2: UNPLUGGED}, addresses=((2, UNIVERSE),)), None),
        (Netlink({1: LO}, addresses=((2, UNIVERSE),)), None),
    ),
)
def test_before_a_name_is_resolved_any_way_will_do(netlink: Netlink, way: Way | None) -> None:
    assert _way(netlink, "") == way


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "netlink"]


async def until(routes: Routes, way: Way) -> None:
    async with asyncio.timeout(SOON_S):
        while routes.way != way:
            await routes.changed.wait()
            routes.changed.clear()


def test_the_kernel_is_asked_again_with_each_aim() -> None:
    async def main() -> None:
        async with watching() as routes:
            for host, address in (("127.0.0.1", "127.0.0.1"), ("127.0.0.2", "127.0.0.1"), ("localhost", "127.0.0.1")):
                routes.aim(host)
                await until(routes, Way("lo", address))
                assert threads()

    asyncio.run(main())
    for thread in threads():
        thread.join(SOON_S)
    assert not threads()


def test_a_change_is_told_once() -> None:
    async def main() -> None:
        async with watching() as routes:
            routes.aim("127.0.0.1")
            await until(routes, Way("lo", "127.0.0.1"))
            for _ in range(100):
                routes.aim("localhost")
            routes._become(routes.way)
            assert not routes.changed.is_set()

    asyncio.run(main())


def test_what_the_kernel_tells_is_logged_where_it_is_known() -> None:
    async def main() -> None:
        routes = Routes()
        for way in (None, Way("eth0", "192.0.2.7"), None, Way("eth0", "192.0.2.8"), Way("wlan0", "192.0.2.9"), UNKNOWN):
            routes.changed.clear()
            routes._become(way)
            assert routes.way == way
            assert routes.changed.is_set()

    with structlog.testing.capture_logs() as told:
        asyncio.run(main())
    assert [(line["event"], line["up"], line["address"]) for line in told] == [
        ("network.link", True, "192.0.2.7"),
        ("network.link", False, None),
        ("network.link", True, "192.0.2.8"),
        ("network.link", True, "192.0.2.9"),
    ]


def test_where_netlink_is_forbidden_nothing_is_held_back() -> None:
    class Forbidden(Routes):
        def _watch(self) -> None:
            raise PermissionError(1, "Operation not permitted")

    async def main() -> None:
        routes = Forbidden()
        routes._become(None)
        routes.changed.clear()
        await asyncio.to_thread(routes.work)
        async with asyncio.timeout(SOON_S):
            await routes.changed.wait()
        assert routes.way == UNKNOWN

    with structlog.testing.capture_logs() as told:
        asyncio.run(main())
    assert [line["event"] for line in told] == ["network.unwatched"]
    assert "AF_NETLINK" in told[0]["hint"]


def test_an_end_before_the_thread_has_begun_is_an_end() -> None:
    async def main() -> None:
        async with watching():
            pass

    for _ in range(3):
        asyncio.run(main())
    for thread in threads():
        thread.join(SOON_S)
    assert not threads()
