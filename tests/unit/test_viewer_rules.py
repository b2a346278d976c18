"""Who may open the viewer's page, how often a secret is tried, and what its link is. Pure."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING

import pytest

from device import arguments
from device.errors import UnreachableError
from device.network.probe import ProbeResult
from device.viewer.hosts import Hosts
from device.viewer.link import code_lines, link
from device.viewer.passes import Passes
from device.viewer.tries import ALL_BURST, ALL_REFILL_S, BURST, CLIENTS, REFILL_S, Tries

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.mark.parametrize(
    ("bound", "header", "allowed"),
    (
        ("127.0.0.1", "127.0.0.1:8080", True),
        ("127.0.0.1", "localhost:9000", True),
        ("127.0.0.1", "LocalHost.", True),
        ("127.0.0.1", "[::1]:8080", True),
        ("localhost", "127.0.0.1", True),
        ("127.0.0.1", "192.168.1.7", False),
        ("127.0.0.1", "evil.example", False),
        ("127.0.0.1", "cam.local", False),
        ("127.0.0.1", "cam", False),
        ("::1", "evil.example", False),
        ("localhost", "evil.example", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", "a b", False),
        ("127.0.0.1", "localhost@evil.example", False),
        ("0.0.0.0", "192.168.1.7:8080", True),
        ("0.0.0.0", "[fd00::7]", True),
        ("0.0.0.0", "cam:8080", True),
        ("0.0.0.0", "cam.local", True),
        ("0.0.0.0", "localhost", True),
        ("0.0.0.0", "evil.example", False),
        ("0.0.0.0", "", False),
        ("::", "evil.example", False),
        ("192.168.1.7", "local.evil.example", False),
        ("cam.example.org", "cam.example.org:443", True),
        ("cam.example.org", "evil.example.org", False),
        *(
            ("0.0.0.0", name, True)
            for name in ("box", "box.local", "box.lan", "box.example.org", "BOX.Fritz.Box.:8080")
        ),
        *(("0.0.0.0", name, False) for name in ("boxes.example.org", "a.box.example.org", "box-example.org")),
        ("127.0.0.1", "box.example.org", False),
        ("127.0.0.1", "box", False),
    ),
)
def test_names_that_an_attacker_could_own_are_refused(bound: str, header: str, *, allowed: bool) -> None:
    assert Hosts(bound=bound, own_name="box").allow(header) is allowed


def test_the_refusal_says_which_names_there_are() -> None:
    elsewhere = Hosts(bound="0.0.0.0", own_name="box.example.org")
    assert "box, box.local or box.DOMAIN" in elsewhere.refusal("pi.fritz.example")
    assert "--allow-host pi.fritz.example" in elsewhere.refusal("pi.fritz.example:8080")
    assert "--allow-host NAME" in elsewhere.refusal("a b")
    assert "http://localhost" in Hosts(bound="127.0.0.1", own_name="box").refusal("box.lan")
    assert len(elsewhere.refusal("x" * 5000 + ".example")) < 400


@pytest.mark.parametrize(
    ("bound", "more", "needed"),
    (
        ("127.0.0.1", "", False),
        ("localhost", "", False),
        ("::1", "", False),
        ("0.0.0.0", "", True),
        ("192.168.1.7", "", True),
        ("box", "", True),
        ("127.0.0.1", "cam.example.org", True),
    ),
)
def test_a_page_that_others_can_reach_needs_a_secret(bound: str, more: str, *, needed: bool) -> None:
    assert Hosts(bound=bound, more=frozenset({more} - {""})).needs_secret is needed


@pytest.mark.parametrize("name", ("cam.example.org", "box", "a-b.c_d.example", "cam.example.org."))
def test_a_name_can_be_allowed(name: str) -> None:
    assert arguments.host_name(name) == name


@pytest.mark.parametrize("name", ("", "cam:8080", "http://cam", "*.example.org", "a b", "a..b", "-a", "x" * 254))
def test_what_is_no_name_cannot_be_allowed(name: str) -> None:
    with pytest.raises(Exception, match="is not a host name"):
        arguments.host_name(name)


def test_tries_of_one_client_are_bounded_and_come_back() -> None:
    tries = Tries()
    for _ in range(BURST):
        assert tries.allow("192.0.2.1", 100.0)
        tries.failed("192.0.2.1", 100.0)
    assert not tries.allow("192.0.2.1", 100.0)
    assert tries.allow("192.0.2.2", 100.0)
    assert not tries.allow("192.0.2.1", 100.0 + 0.9 * REFILL_S)
    assert tries.allow("192.0.2.1", 100.1 + REFILL_S)


def test_an_ipv6_client_has_one_network() -> None:
    tries = Tries()
    for number in range(BURST):
        tries.failed(f"2001:db8::{number + 1:x}", 1.0)
    assert not tries.allow("2001:db8::ffff", 1.0)
    assert tries.allow("2001:db8:0:1::1", 1.0)
    for _ in range(BURST):
        tries.failed("::ffff:192.0.2.1", 1.0)
    assert not tries.allow("192.0.2.1", 1.0)


def test_tries_of_all_clients_together_are_bounded_and_so_is_the_table() -> None:
    tries = Tries()
    for number in range(ALL_BURST):
        assert tries.allow(f"10.0.0.{number}", 1.0)
        tries.failed(f"10.0.0.{number}", 1.0)
    assert not tries.allow("192.0.2.1", 1.0)
    assert tries.allow("192.0.2.1", 1.1 + ALL_REFILL_S)
    for number in range(2 * CLIENTS):
        tries.failed(f"10.1.{number // 256}.{number % 256}", 1.0)
    assert len(tries._clients) == CLIENTS


@pytest.mark.parametrize(
    ("page", "bound", "shown"),
    (
        ("http://127.0.0.1:8080/", "127.0.0.1", "http://127.0.0.1:8080/"),
        ("http://192.0.2.7:8080/", "192.0.2.7", "http://192.0.2.7:8080/#k-_y"),
        ("http://[::1]:8080/", "::1", "http://[::1]:8080/"),
    ),
)
def test_the_link_has_the_secret_where_browsers_do_not_send_it(page: str, bound: str, shown: str) -> None:
    secret = "k-_y" if shown.endswith("y") else ""
    assert link(page, bound=bound, room_url="wss://room.invalid", secret=secret) == shown


def test_the_link_of_a_page_on_all_addresses_leads_here_from_elsewhere() -> None:
    found = link("http://127.0.0.1:8080/", bound="0.0.0.0", room_url="ws://127.0.0.1:7880", secret="key")
    assert not found.startswith("http://127.0.0.1")
    assert found.endswith(":8080/#key")


def test_a_link_has_a_code_where_there_are_characters_for_it() -> None:
    url = "http://192.168.178.123:8080/#abcdefghijklmnopqrstuv"
    lines = code_lines(url, io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    assert 10 < len(lines) < 25
    assert {len(line) for line in lines} == {len(lines[0])}
    assert "no QR code" in code_lines(url, io.TextIOWrapper(io.BytesIO(), encoding="ascii"))[0]


class Servers:
    """Stands for a probe: which server answers first, and how often it was asked."""

    def __init__(self, answering: str | None) -> None:
        self.answering = answering
        self.asked = 0

    async def first(self, urls: Sequence[str]) -> ProbeResult:
        self.asked += 1
        await asyncio.sleep(0)
        if self.answering is None:
            raise UnreachableError(f"none of {urls} answers")
        return ProbeResult(url=self.answering, address="192.0.2.1", server_time_s=1.0)


@pytest.mark.parametrize(("answering", "order"), (("ws://b", "bac"), (None, "abc")))
def test_a_page_tries_the_answering_server_first_and_then_the_others(answering: str | None, order: str) -> None:
    servers = Servers(answering)

    async def main() -> None:
        passes = Passes(
            urls=("ws://a", "ws://b", "ws://c"),
            probe=servers,
            mint=lambda at: f"token by {at.server_time_s if at else None}",
        )
        first, *_ = await asyncio.gather(*(passes() for _ in range(20)))
        assert first.urls == tuple(f"ws://{each}" for each in order)
        assert first.token == ("token by 1.0" if answering else "token by None")
        assert first.token not in repr(first)

    asyncio.run(main())
    assert servers.asked == 1
