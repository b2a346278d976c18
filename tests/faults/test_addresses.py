"""The route watcher with the kernel's netlink: addresses that are replaced, removed, and changed in large numbers."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from device.network.local_route import LocalRoute
from device.network.route import Routes, watching
from tests.faults.namespaces import enter_fresh_namespace, run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_SOON_S = 10.0
_THERE = "2001:db8::99"
_OLD, _NEW = "2001:db8::1", "2001:db8::2"


async def _until(routes: Routes, local_route: LocalRoute | None) -> None:
    async with asyncio.timeout(_SOON_S):
        while routes.local_route != local_route:
            await routes.changed.wait()
            routes.changed.clear()


async def _ip(*arguments: str) -> None:
    run("ip", *arguments)


def _in_a_namespace(scenario: Callable[[Routes], Awaitable[None]]) -> None:
    """Run a scenario in a thread whose namespace has one link, `v0`, with a carrier."""

    def thread() -> None:
        enter_fresh_namespace(without_sdk=True)
        run("ip", "link", "add", "v0", "type", "veth", "peer", "v1")
        for each in ("v0", "v1"):
            run("ip", "link", "set", each, "up")
        # Not added with the addresses, because a kernel may remove such routes when an address expires.
        run("ip", "-6", "route", "add", "2001:db8::/64", "dev", "v0")

        async def main() -> None:
            async with watching() as routes:
                routes.set_target(_THERE)
                await scenario(routes)

        asyncio.run(main())

    asyncio.run(asyncio.to_thread(thread))
    for each in threading.enumerate():
        if each.name == "netlink":
            each.join(_SOON_S)


async def _add(address: str, *more: str) -> None:
    await _ip("address", "add", f"{address}/128", "dev", "v0", "nodad", *more)


@pytest.mark.timeout(60)
def test_a_replaced_ipv6_address_is_held_until_it_ends() -> None:
    async def scenario(routes: Routes) -> None:
        await _add(_OLD)
        await _until(routes, LocalRoute("v0", _OLD))
        await _add(_NEW)
        await _ip("address", "change", f"{_OLD}/128", "dev", "v0", "preferred_lft", "0", "valid_lft", "600")
        assert _NEW in run("ip", "route", "get", _THERE)
        # A later change that is seen proves that the earlier ones were handled.
        await _ip("link", "set", "v1", "down")
        await _until(routes, None)
        await _ip("link", "set", "v1", "up")
        await _ip("-6", "route", "replace", "2001:db8::/64", "dev", "v0")
        await _until(routes, LocalRoute("v0", _NEW))

    async def ended(routes: Routes) -> None:
        await _add(_OLD)
        await _until(routes, LocalRoute("v0", _OLD))
        await _add(_NEW)
        await _ip("address", "change", f"{_OLD}/128", "dev", "v0", "preferred_lft", "0", "valid_lft", "2")
        seen = [routes.local_route]
        async with asyncio.timeout(_SOON_S):
            while routes.local_route != LocalRoute("v0", _NEW):
                await routes.changed.wait()
                routes.changed.clear()
                seen.append(routes.local_route)
        assert seen == [LocalRoute("v0", _OLD), LocalRoute("v0", _NEW)]

    _in_a_namespace(scenario)
    _in_a_namespace(ended)


@pytest.mark.timeout(120)
def test_addresses_that_change_all_the_time_end_no_watching() -> None:
    """As at boot: a list that a change interrupts is not an answer, and is asked for again."""

    async def scenario(routes: Routes) -> None:
        routes.set_target("name.example")  # any route is sufficient: each query lists all addresses

        def churn() -> None:
            batch = "".join(
                f"address {verb} 10.{number // 250}.{number % 250}.1/32 dev v0\n"
                for verb in ("add", "del")
                for number in range(500)
            )
            for _ in range(3):
                run("ip", "-batch", "-", text=batch)

        await asyncio.to_thread(churn)
        routes.set_target(_THERE)
        await _add(_OLD)
        await _until(routes, LocalRoute("v0", _OLD))

    _in_a_namespace(scenario)
