"""Is the server there? Asked of small real servers on loopback: those that answer, and every way not to."""

from __future__ import annotations

import asyncio
import re
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import UnreachableError
from device.network.probe import LIMIT_S, Probe, Sight, _time_of, base_url
from device.network.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Serving = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

LOADED_S = 4.0  # what a busy machine may add to a limit
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
DATE_S = 784111777.0


def answering(status: str, *, head: str = "", body: bytes = b"OK") -> Serving:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    return serve


def saying(raw: bytes) -> Serving:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(raw)
        await writer.drain()

    return serve


async def silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def dripping(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10_000:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.05)


async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def hanging_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@asynccontextmanager
async def listening(serve: Serving) -> AsyncIterator[int]:
    """Serve each connection by a function until the context ends; gives the port."""
    open_ones: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        me = asyncio.current_task()
        assert me
        open_ones.add(me)
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # whoever asked has gone, or the test is over
        finally:
            open_ones.discard(me)
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for each in open_ones:
            each.cancel()
        await asyncio.gather(*open_ones)


def look(serve: Serving, scheme: str = "ws") -> Sight:
    async def main() -> Sight:
        async with listening(serve) as port:
            return await Probe(Resolver()).look(f"{scheme}://127.0.0.1:{port}/some/path")

    return asyncio.run(main())


async def refused_in_time(probe: Probe, *urls: str) -> str:
    began = asyncio.get_running_loop().time()
    with pytest.raises(UnreachableError) as caught:
        await probe.first(urls)
    assert asyncio.get_running_loop().time() - began < LIMIT_S + LOADED_S
    assert caught.value.retry
    return str(caught.value)


def refusal(serve: Serving, scheme: str = "ws") -> str:
    """Return what is said of a server that does not do, without its port."""

    async def main() -> str:
        async with listening(serve) as port:
            said = await refused_in_time(Probe(Resolver()), f"{scheme}://127.0.0.1:{port}")
            return said.replace(f":{port}", "")

    return asyncio.run(main())


@pytest.mark.parametrize(
    "status", ("200 OK", "204 No Content", "302 Found", "401 Unauthorized", "404 Not Found", "499 X")
)
def test_any_answer_below_500_is_a_server(status: str) -> None:
    """For a proxy may not pass / on; and where it sends us is not asked."""
    sight = look(answering(status, head="Location: http://127.0.0.1:1/\r\n", body=b""))
    assert sight.url.endswith("/some/path")
    assert sight.address == "127.0.0.1"


@pytest.mark.parametrize("status", (500, 502, 503, 504, 599))
def test_from_500_on_it_is_a_proxy_before_nothing(status: int) -> None:
    said = refusal(answering(f"{status} X"))
    assert said == f"http://127.0.0.1/ answers HTTP {status}: a proxy is there, the LiveKit server is not"


def test_only_the_root_is_asked() -> None:
    asked = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    look(serve)
    assert asked == [b"GET / HTTP/1.1"]


@pytest.mark.parametrize("serve", (silent, dripping))
def test_who_accepts_and_never_answers_is_away(serve: Serving) -> None:
    assert refusal(serve) == f"http://127.0.0.1/ does not answer within {LIMIT_S:g} s"


def test_a_refused_connection_is_said() -> None:
    async def main() -> str:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        return (await refused_in_time(Probe(Resolver()), f"ws://127.0.0.1:{port}")).replace(f":{port}", "")

    assert asyncio.run(main()) == "http://127.0.0.1/ cannot be reached: Connection refused"


@pytest.mark.parametrize(
    "serve",
    (
        saying(b"SSH-2.0-OpenSSH_9.2\r\n"),
        saying(b"\0\1\2\3" * 1000),
        saying(b"HTTP/1.1 abc def\r\n\r\n"),
        saying(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 100_000 + b"\r\n\r\n"),
        saying(b"HTTP/1.1 200 OK\r\nX: y\r\n"),
        saying(b""),
        hanging_up,
    ),
)
def test_garbage_is_no_answer(serve: Serving) -> None:
    said = refusal(serve)
    assert said.startswith("http://127.0.0.1/ ")
    assert 20 < len(said) < 200
    assert said.isprintable()


def test_tls_to_a_plain_port_is_said() -> None:
    said = refusal(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), scheme="wss")
    assert said.startswith("https://127.0.0.1/ cannot be reached: ")
    assert re.search(r"(?i)ssl|tls|version", said)


def test_a_body_without_end_is_not_read() -> None:
    assert look(endless).address == "127.0.0.1"


def test_the_servers_own_time() -> None:
    assert look(answering("200 OK", head=f"Date: {DATE}\r\n")).server_time_s == DATE_S
    assert look(answering("200 OK")).server_time_s is None
    assert look(answering("200 OK", head="Date: the day before\r\n")).server_time_s is None


@given(st.text(max_size=60) | st.from_regex(r"\A(Sun, )?\d+ (Nov|Foo) -?\d+ \d+:\d+:\d+ (GMT|[+-]\d+)\Z"))
def test_whatever_a_server_calls_its_time(date: str) -> None:
    assert isinstance(_time_of(date), float | None)


@pytest.mark.parametrize(
    ("url", "origin"),
    (
        ("ws://h", "http://h/"),
        ("wss://h:7443/a/b", "https://h:7443/"),
        ("ws://[::1]:7880", "http://[::1]:7880/"),
    ),
)
def test_the_base_url_a_room(url: str, origin: str) -> None:
    assert base_url(url) == origin


def test_the_first_of_a_list_that_answers_is_taken_and_the_rest_let_go() -> None:
    async def main() -> None:
        async with listening(answering("200 OK")) as one, listening(silent) as two, listening(endless) as three:
            urls = [f"ws://127.0.0.1:{port}" for port in (one, two, three)]
            began = asyncio.get_running_loop().time()
            assert (await Probe(Resolver()).first(urls)).url == urls[0]
            assert asyncio.get_running_loop().time() - began < LIMIT_S

    asyncio.run(main())


def test_silent_ones_before_it_cost_one_limit_in_all() -> None:
    """They are asked at once: four silent ones one after another would take 6 s."""

    async def main() -> None:
        async with listening(silent) as deaf, listening(answering("200 OK")) as well:
            urls = [*(f"ws://127.0.0.1:{deaf}/{number}" for number in range(4)), f"ws://127.0.0.1:{well}"]
            began = asyncio.get_running_loop().time()
            assert (await Probe(Resolver()).first(urls)).url == urls[-1]
            assert asyncio.get_running_loop().time() - began < 3 * LIMIT_S

    asyncio.run(main())


def test_those_that_refuse_cost_nothing() -> None:
    async def main() -> None:
        async with listening(answering("503 X")) as away, listening(answering("200 OK")) as well:
            urls = ["ws://127.0.0.1:1", f"ws://127.0.0.1:{away}", f"ws://127.0.0.1:{well}"]
            assert (await Probe(Resolver()).first(urls)).url == urls[-1]

    asyncio.run(main())


def test_if_none_answers_each_is_named() -> None:
    async def main() -> str:
        async with listening(answering("502 X")) as one, listening(silent) as two:
            urls = (f"ws://127.0.0.1:{one}", f"ws://127.0.0.1:{two}")
            said = await refused_in_time(Probe(Resolver()), *urls)
            return said.replace(f":{one}", ":ONE").replace(f":{two}", ":TWO")

    said = asyncio.run(main())
    assert "http://127.0.0.1:ONE/ answers HTTP 502" in said
    assert "; http://127.0.0.1:TWO/ does not answer within" in said


def test_each_look_is_a_connection_that_is_closed_again() -> None:
    async def main() -> None:
        ended = asyncio.Queue[bytes]()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            ended.put_nowait(await reader.read())

        async with listening(serve) as port:
            probe = Probe(Resolver())
            for _ in range(20):
                await probe.look(f"ws://127.0.0.1:{port}")
                async with asyncio.timeout(10):
                    assert await ended.get() == b""

    asyncio.run(main())
