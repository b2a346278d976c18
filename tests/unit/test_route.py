"""The device's end of the route to the server, from a fake netlink and from this machine's own, on loopback."""

from __future__ import annotations

import asyncio
import errno
import os
import struct
import threading
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest
import structlog

from device.network.local_route import UNKNOWN, LocalRoute, local_route_to
from device.network.netlink import Address, Link, NetlinkError, Route
from device.network.route import Routes, watching

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

RUNNING, UP, LOOPBACK = 0x40, 0x1, 0x8
UNIVERSE, LINK_LOCAL = 0, 253
SOON_S = 20.0


def interrupted() -> NetlinkError:
    return NetlinkError(errno.EINTR, "a change interrupted the list")


class Kernel:
    """Answers like a kernel with these links, addresses and routes."""

    def __init__(
        self,
        links: dict[int, tuple[str, int]],
        *,
        addresses: tuple[tuple[int, int], ...] = (),
        routes: dict[str, tuple[int, str]] | None = None,
    ) -> None:
        self._links, self._addresses, self._routes = links, addresses, routes or {}

    def links(self) -> list[Link]:
        return [self.link(index) for index in self._links]

    def link(self, index: int) -> Link:
        if index not in self._links:
            raise NetlinkError(19, "No such device")
        name, flags = self._links[index]
        return Link(index=index, name=name, flags=flags)

    def addresses(self) -> list[Address]:
        return [Address(index=index, address="", scope=scope, flags=0) for index, scope in self._addresses]

    def route_to(self, address: str) -> Route:
        if address not in self._routes:
            raise NetlinkError(101, "Network is unreachable")
        index, source = self._routes[address]
        return Route(index=index, source=source)


LO = ("lo", UP | RUNNING | LOOPBACK)
ETH = ("eth0", UP | RUNNING)
WLAN = ("wlan0", UP | RUNNING)
UNPLUGGED = ("eth0", UP)
THERE = "203.0.113.5"


@pytest.mark.parametrize(
    ("netlink", "local_route"),
    (
        (Kernel({1: LO, 2: ETH}, routes={THERE: (2, "192.0.2.7")}), LocalRoute("eth0", "192.0.2.7")),
        (Kernel({1: LO, 2: ETH, 3: WLAN}, routes={THERE: (3, "192.0.2.8")}), LocalRoute("wlan0", "192.0.2.8")),
        (Kernel({1: LO}, routes={THERE: (1, "127.0.0.1")}), LocalRoute("lo", "127.0.0.1")),
        (Kernel({2: ETH}, routes={THERE: (2, "")}), LocalRoute("eth0", "")),  # a route may have no source
        (Kernel({1: LO, 2: ETH}), None),
        (Kernel({1: LO, 2: UNPLUGGED}, routes={THERE: (2, "192.0.2.7")}), None),
        (Kernel({1: LO}, routes={THERE: (2, "192.0.2.7")}), None),  # the link was removed in between
    ),
)
def test_the_route_to_an_address(netlink: Kernel, local_route: LocalRoute | None) -> None:
    assert local_route_to(netlink, THERE) == local_route


@pytest.mark.parametrize(
    ("netlink", "local_route"),
    (
        (Kernel({1: LO, 2: ETH}, addresses=((1, UNIVERSE), (2, UNIVERSE))), UNKNOWN),
        (Kernel({1: LO, 2: UNPLUGGED, 3: WLAN}, addresses=((2, UNIVERSE), (3, UNIVERSE))), UNKNOWN),
        (Kernel({}), None),
        (Kernel({1: LO, 2: ETH}), None),  # no address yet
        (Kernel({1: LO, 2: ETH}, addresses=((1, UNIVERSE),)), None),
        (Kernel({1: LO, 2: ETH}, addresses=((2, LINK_LOCAL),)), None),
        (Kernel({1: LO, 2: UNPLUGGED}, addresses=((2, UNIVERSE),)), None),
        (Kernel({1: LO}, addresses=((2, UNIVERSE),)), None),
    ),
)
def test_before_a_name_is_resolved_any_route_is_sufficient(netlink: Kernel, local_route: LocalRoute | None) -> None:
    assert local_route_to(netlink, "") == local_route


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "netlink"]


async def until(routes: Routes, local_route: LocalRoute) -> None:
    async with asyncio.timeout(SOON_S):
        while routes.local_route != local_route:
            await routes.changed.wait()
            routes.changed.clear()


def test_the_kernel_is_queried_for_each_target() -> None:
    async def main() -> None:
        async with watching() as routes:
            for host, address in (("127.0.0.1", "127.0.0.1"), ("127.0.0.2", "127.0.0.1"), ("localhost", "127.0.0.1")):
                routes.set_target(host)
                await until(routes, LocalRoute("lo", address))
                assert threads()

    asyncio.run(main())
    for thread in threads():
        thread.join(SOON_S)
    assert not threads()


def test_a_change_is_logged_once() -> None:
    async def main() -> None:
        async with watching() as routes:
            routes.set_target("127.0.0.1")
            await until(routes, LocalRoute("lo", "127.0.0.1"))
            for _ in range(100):
                routes.set_target("localhost")
            routes._update(routes.local_route)
            assert not routes.changed.is_set()

    asyncio.run(main())


def test_known_routes_are_logged() -> None:
    async def main() -> None:
        routes = Routes()
        for local_route in (
            None,
            LocalRoute("eth0", "192.0.2.7"),
            None,
            LocalRoute("eth0", "192.0.2.8"),
            LocalRoute("wlan0", "192.0.2.9"),
            UNKNOWN,
        ):
            routes.changed.clear()
            routes._update(local_route)
            assert routes.local_route == local_route
            assert routes.changed.is_set()

    with structlog.testing.capture_logs() as told:
        asyncio.run(main())
    assert [(line["event"], line["up"], line["address"]) for line in told] == [
        ("network.link", True, "192.0.2.7"),
        ("network.link", False, None),
        ("network.link", True, "192.0.2.8"),
        ("network.link", True, "192.0.2.9"),
    ]


class Failing(Routes):
    """Fails to open netlink a given number of times, without pauses; then watches the real one."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__()
        self.errors = list(errors)
        self.pauses_s: list[float | None] = []
        self.states: list[LocalRoute | None] = []

    def _update(self, local_route: LocalRoute | None) -> None:
        self.states.append(local_route)
        super()._update(local_route)

    def _watch(self) -> None:
        if self.errors:
            raise self.errors.pop(0)
        super()._watch()

    def _wait(self, changes: socket.socket | None, *, within_s: float | None) -> bool:
        if changes is None:
            self.pauses_s.append(within_s)
            return False
        return super()._wait(changes, within_s=within_s)


def test_while_netlink_fails_the_route_is_unknown_and_it_is_retried() -> None:
    """For any type of error: without the thread the last state would stay."""
    errors = (
        PermissionError(1, "zq"),
        NetlinkError(16, "zq"),
        RuntimeError("zq"),
        struct.error("zq"),
        interrupted(),
    )

    async def main() -> None:
        routes = Failing(*errors)
        routes._update(None)
        routes.changed.clear()
        routes.set_target("127.0.0.1")
        routes.states.clear()
        thread = threading.Thread(target=routes.work, name="netlink", daemon=True)
        thread.start()
        async with asyncio.timeout(SOON_S):
            while routes.local_route != LocalRoute("lo", "127.0.0.1"):
                await routes.changed.wait()
                routes.changed.clear()
        assert routes.states[0] == UNKNOWN
        assert routes.pauses_s == [1, 2, 4, 8, 16]
        assert thread.is_alive()
        routes.stop()
        await asyncio.to_thread(thread.join, SOON_S)
        assert not thread.is_alive()

    with structlog.testing.capture_logs() as told:
        asyncio.run(main())
    unwatched = [line for line in told if line["event"] == "network.unwatched"]
    assert [line["error"] for line in unwatched] == [
        "PermissionError: Operation not permitted",
        "NetlinkError: Device or resource busy",
        "RuntimeError",
        "error",
        "NetlinkError: Interrupted system call",
    ]
    assert "AF_NETLINK" in unwatched[0]["hint"]


def test_the_delay_between_retries_is_at_most_half_a_minute() -> None:
    class Forbidden(Failing):
        def _watch(self) -> None:
            if len(self.pauses_s) == 19:
                self.stop()
            raise PermissionError(1, "zq")

    async def main() -> list[float | None]:
        routes = Forbidden()
        await asyncio.to_thread(routes.work)
        return routes.pauses_s

    assert asyncio.run(main()) == [1, 2, 4, 8, 16, *[30] * 15]


class Interrupted(Kernel):
    """Raises an error this many times first, as while addresses change."""

    failures = 0
    asked = 0

    def addresses(self) -> list[Address]:
        self.asked += 1
        if self.failures:
            self.failures -= 1
            raise interrupted()
        return super().addresses()


def asked(netlink: Kernel, target: str = "") -> tuple[LocalRoute | None, list[float | None]]:
    async def main() -> tuple[LocalRoute | None, list[float | None]]:
        routes = Failing()
        return routes._query_with_retries(netlink, target, None), routes.pauses_s

    return asyncio.run(main())


@pytest.mark.parametrize("failures", (1, 5))
def test_an_interrupted_query_is_repeated_after_a_pause(failures: int) -> None:
    netlink = Interrupted({2: ETH}, addresses=((2, UNIVERSE),))
    netlink.failures = failures
    local_route, pauses_s = asked(netlink)
    assert local_route == UNKNOWN
    assert len(pauses_s) == failures
    assert netlink.asked == failures + 1


def test_a_query_is_repeated_a_limited_number_of_times() -> None:
    netlink = Interrupted({2: ETH}, addresses=((2, UNIVERSE),))
    netlink.failures = 100
    with pytest.raises(NetlinkError):
        asked(netlink)
    assert netlink.asked == 6


@pytest.mark.parametrize("code", (1, 4, 11, 12, 16, 105))
def test_an_error_that_is_not_an_answer_does_not_mean_no_route(code: int) -> None:
    class Busy(Kernel):
        def route_to(self, address: str) -> Route:  # noqa: ARG002
            raise NetlinkError(code, "zq")

    with pytest.raises(NetlinkError):
        local_route_to(Busy({2: ETH}), THERE)


OLD, NEW = "2001:db8::1", "2001:db8::2"
DEPRECATED, DAD_FAILED, TENTATIVE = 0x20, 0x08, 0x40


class Addressed(Kernel):
    """One route over eth0 from `source`; `addresses` are those of its interfaces, with their flags."""

    def __init__(self, source: str, *addresses: tuple[int, str, int]) -> None:
        super().__init__({1: LO, 2: ETH, 3: WLAN}, routes={THERE: (2, source)})
        self._all = addresses

    def addresses(self) -> list[Address]:
        return [
            Address(index=index, address=address, scope=UNIVERSE, flags=flags) for index, address, flags in self._all
        ]


@pytest.mark.parametrize(
    ("netlink", "address"),
    (
        (Addressed(NEW, (2, OLD, DEPRECATED), (2, NEW, 0)), OLD),  # a temporary address was replaced (RFC 8981)
        (Addressed(NEW, (2, OLD, 0), (2, NEW, 0)), OLD),  # a second address came first
        (Addressed(NEW, (2, NEW, 0)), NEW),  # the old one has expired
        (Addressed(NEW, (3, OLD, 0), (2, NEW, 0)), NEW),  # it belongs to another interface now
        (Addressed(NEW, (2, OLD, DAD_FAILED), (2, NEW, 0)), NEW),
        (Addressed(NEW, (2, OLD, TENTATIVE), (2, NEW, 0)), NEW),
        (Addressed(OLD, (2, OLD, 0)), OLD),
    ),
)
def test_an_address_is_kept_as_long_as_it_is_valid(netlink: Kernel, address: str) -> None:
    assert local_route_to(netlink, THERE, current=LocalRoute("eth0", OLD)) == LocalRoute("eth0", address)


def test_an_address_is_not_kept_on_another_interface_or_without_a_carrier() -> None:
    netlink = Addressed(NEW, (2, OLD, 0), (2, NEW, 0))
    assert local_route_to(netlink, THERE, current=LocalRoute("wlan0", OLD)) == LocalRoute("eth0", NEW)
    assert local_route_to(netlink, THERE, current=UNKNOWN) == LocalRoute("eth0", NEW)
    netlink._links[2] = UNPLUGGED
    assert local_route_to(netlink, THERE, current=LocalRoute("eth0", OLD)) is None


class Changes:
    """A socket on which each read applies the next change."""

    def __init__(self, *changes: Callable[[], None]) -> None:
        self._changes = list(changes)
        self._ready, event = os.pipe()
        os.write(event, b"." * len(changes))
        os.close(event)

    def fileno(self) -> int:
        return self._ready

    def recv(self, _size: int) -> bytes:
        os.read(self._ready, 1)
        self._changes.pop(0)()
        raise BlockingIOError

    def close(self) -> None:
        os.close(self._ready)


def followed(netlink: Kernel, *changes: Callable[[Routes], None]) -> list[LocalRoute | None]:
    """Return all reported routes, with a change at each event; the last event stops the watcher."""

    async def main() -> list[LocalRoute | None]:
        told: list[LocalRoute | None] = []

        class Recorded(Routes):
            def _publish(self, local_route: LocalRoute | None) -> None:
                told.append(local_route)

        routes = Recorded()
        routes.set_target(THERE)
        with closing(Changes(*(partial(change, routes) for change in (*changes, Routes.stop)))) as events:
            async with asyncio.timeout(SOON_S):
                await asyncio.to_thread(routes._follow, cast("Any", events), netlink)
        return told

    return asyncio.run(main())


def test_a_new_target_uses_the_kernels_current_address() -> None:
    """A new connection uses the new address, so the removal of the old one is not a change."""
    netlink = Addressed(OLD, (2, OLD, 0))

    def replaced(_routes: Routes) -> None:
        netlink._routes[THERE] = (2, NEW)
        netlink._all = ((2, OLD, DEPRECATED), (2, NEW, 0))

    def aimed(routes: Routes) -> None:
        routes.set_target(THERE)

    def ended(_routes: Routes) -> None:
        netlink._all = ((2, NEW, 0),)

    old, new = LocalRoute("eth0", OLD), LocalRoute("eth0", NEW)
    assert followed(netlink, replaced, ended) == [old, old, new]
    netlink = Addressed(OLD, (2, OLD, 0))
    assert list(dict.fromkeys(followed(netlink, replaced, aimed, ended))) == [old, new]


def test_more_events_than_the_buffer_holds_are_one_change() -> None:
    def overrun(_routes: Routes) -> None:
        raise OSError(errno.ENOBUFS, "zq")

    netlink = Addressed(OLD, (2, OLD, 0))
    assert followed(netlink, overrun) == [LocalRoute("eth0", OLD)] * 2


def test_a_broken_socket_is_opened_again() -> None:
    def missed(_routes: Routes) -> None:
        raise OSError(errno.EBADF, "zq")

    with pytest.raises(OSError, match="zq"):
        followed(Addressed(OLD, (2, OLD, 0)), missed)


def test_a_stop_before_the_thread_starts_ends_it() -> None:
    async def main() -> None:
        async with watching():
            pass

    for _ in range(3):
        asyncio.run(main())
    for thread in threads():
        thread.join(SOON_S)
    assert not threads()
