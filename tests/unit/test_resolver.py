"""Name resolution with name servers that are slow, wrong, or hang."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from device.errors import UnreachableError
from device.network.probe import LIMIT_S, Probe
from device.network.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Iterator

SOON_S = 20.0  # for an answer on its way


class NameServer:
    """Replaces the system's resolver, because that cannot be made to hang: names that begin with "hang" do."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.hangs = threading.Event()
        self.addresses = ["192.0.2.1"]
        self.quick_family = -1  # a query for this family alone does not hang

    def getaddrinfo(self, host: str, *_rest: Any, family: int = 0, **_more: Any) -> list[Any]:
        self.asked.append(host)
        if host.startswith("hang") and family != self.quick_family:
            self.hangs.wait(60)
        if host.startswith("unknown"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(0, 0, 0, "", (address, 0)) for address in self.addresses]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    it = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", it.getaddrinfo)
    yield it
    it.hangs.set()
    for thread in at_work():
        thread.join(SOON_S)


def at_work() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("resolver")]


@pytest.mark.parametrize("address", ("127.0.0.1", "192.0.2.7", "::1", "2001:db8::1"))
def test_an_address_resolves_to_itself_without_a_thread(server: NameServer, address: str) -> None:
    async def main() -> list[str]:
        return await Resolver().resolve(address, within_s=SOON_S)

    assert asyncio.run(main()) == [address]
    assert not server.asked
    assert not at_work()


def test_the_systems_own_names() -> None:
    async def main() -> list[str]:
        return await Resolver().resolve("localhost", within_s=SOON_S)

    found = asyncio.run(main())
    assert set(found) <= {"127.0.0.1", "::1"}
    assert len(found) == len(set(found)) > 0


@pytest.mark.parametrize("name", ("a..invalid", ".invalid", f"{'a' * 80}.invalid", "a\0b"))
def test_an_invalid_name_does_not_resolve(name: str) -> None:
    async def main() -> None:
        resolver = Resolver()
        for _ in range(2):
            with pytest.raises(UnreachableError, match=r"does not resolve: ."):
                await resolver.resolve(name, within_s=SOON_S)

    asyncio.run(main())


def test_an_unknown_name_is_an_error(server: NameServer) -> None:
    async def main() -> None:
        with pytest.raises(UnreachableError) as caught:
            await Resolver().resolve("unknown.example", within_s=SOON_S)
        assert str(caught.value) == "unknown.example does not resolve: Name or service not known"

    asyncio.run(main())
    assert server.asked == ["unknown.example"]


def test_each_query_is_new(server: NameServer) -> None:
    """A server that has moved is found at once, because there is no cache."""

    async def main() -> None:
        resolver = Resolver()
        assert await resolver.resolve("room.example", within_s=SOON_S) == ["192.0.2.1"]
        server.addresses = ["192.0.2.2", "2001:db8::2", "192.0.2.2"]
        assert await resolver.resolve("room.example", within_s=SOON_S) == ["192.0.2.2", "2001:db8::2"]

    asyncio.run(main())


def test_a_query_that_hangs_does_not_delay_others(server: NameServer) -> None:
    async def main() -> None:
        resolver = Resolver()
        hanging = asyncio.create_task(resolver.resolve("hang.example", within_s=SOON_S))
        await asyncio.sleep(0)
        for name in ("one.example", "two.example", "127.0.0.1"):
            assert await resolver.resolve(name, within_s=SOON_S)
        assert not hanging.done()
        with pytest.raises(UnreachableError, match=r"hang\.example does not resolve within"):
            await resolver.resolve("hang.example", within_s=0.01)
        server.hangs.set()
        assert await hanging == ["192.0.2.1"]  # a late answer still serves a caller that waits

    asyncio.run(main())
    assert server.asked == ["hang.example", "one.example", "two.example"]


def test_a_thousand_timeouts_leave_nothing_behind(server: NameServer) -> None:
    async def main() -> None:
        resolver = Resolver()
        for number in range(1000):
            with pytest.raises(UnreachableError):
                await resolver.resolve(f"hang-{number % 3}.example", within_s=0)
        assert len(at_work()) == 3
        assert sorted(server.asked) == [f"hang-{number}.example" for number in range(3)]
        assert not any(resolver._waiting.values())
        server.hangs.set()
        for thread in at_work():
            await asyncio.to_thread(thread.join, SOON_S)
        await asyncio.sleep(0)
        # A new query, not the answer of the old one.
        server.addresses = ["192.0.2.9"]
        assert await resolver.resolve("hang-0.example", within_s=SOON_S) == ["192.0.2.9"]
        assert not resolver._waiting

    asyncio.run(main())
    for thread in at_work():
        thread.join(SOON_S)
    assert not at_work()


def test_a_thousand_concurrent_requests_share_one_query(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device.network.resolver._BY_FAMILY_AFTER_S", SOON_S)  # a busy machine takes longer for so many

    async def main() -> None:
        resolver = Resolver()
        asking = [asyncio.create_task(resolver.resolve("hang.example", within_s=SOON_S)) for _ in range(1000)]
        await asyncio.sleep(0)
        for each in asking[::2]:
            each.cancel()
        server.hangs.set()
        answers = await asyncio.gather(*asking, return_exceptions=True)
        assert answers[1::2] == [["192.0.2.1"]] * 500
        assert all(isinstance(each, asyncio.CancelledError) for each in answers[::2])

    asyncio.run(main())
    assert server.asked == ["hang.example"]


def test_an_answer_after_the_loop_is_closed_is_ignored(server: NameServer) -> None:
    async def main() -> None:
        with pytest.raises(UnreachableError):
            await Resolver().resolve("hang.example", within_s=0)

    asyncio.run(main())
    server.hangs.set()
    for thread in at_work():
        thread.join(SOON_S)  # an exception in the thread would fail this test


def test_a_probe_whose_name_hangs_ends_in_time_with_an_error(server: NameServer) -> None:
    async def main() -> str:
        began = asyncio.get_running_loop().time()
        with pytest.raises(UnreachableError) as caught:
            await Probe(Resolver()).probe("wss://hang.example")
        assert asyncio.get_running_loop().time() - began < LIMIT_S + 4
        return str(caught.value)

    assert "hang.example" in asyncio.run(main())
    assert set(server.asked) == {"hang.example"}


@pytest.mark.parametrize("family", (socket.AF_INET, socket.AF_INET6))
def test_one_family_that_is_late_does_not_delay_the_other(server: NameServer, family: socket.AddressFamily) -> None:
    server.quick_family = family

    async def main() -> None:
        resolver = Resolver()
        for _ in range(3):
            assert await resolver.resolve("hang.example", within_s=SOON_S) == ["192.0.2.1"]
        assert len(at_work()) == 2  # both families, and the late one: never more
        server.hangs.set()
        for thread in at_work():
            await asyncio.to_thread(thread.join, SOON_S)
        await asyncio.sleep(0)
        assert not resolver._waiting
        assert not resolver._asked

    asyncio.run(main())


def test_a_probe_uses_the_resolver(server: NameServer) -> None:
    """No other resolver is used: the name exists only here."""
    server.addresses = ["127.0.0.1"]

    async def main() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            probed = await Probe(Resolver()).probe(f"ws://device.test:{port}")
            assert (probed.url, probed.address) == (f"ws://device.test:{port}", "127.0.0.1")

    asyncio.run(main())
    assert set(server.asked) == {"device.test"}
