"""The probe with small servers on loopback: those that answer, and all kinds of failures."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import UnreachableError
from device.network.address import base_of, host_header, redirect_target, request_path
from device.network.answer import time_of
from device.network.probe import LIMIT_S, Probe, ProbeResult
from device.network.resolver import Resolver
from tests.support.listening import listening

if TYPE_CHECKING:
    from tests.support.listening import Serving

LOADED_S = 4.0  # additional time on a busy machine
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


def look(serve: Serving, scheme: str = "ws") -> ProbeResult:
    async def main() -> ProbeResult:
        async with listening(serve) as port:
            return await Probe(Resolver()).probe(f"{scheme}://127.0.0.1:{port}/some/path")

    return asyncio.run(main())


async def refused_in_time(probe: Probe, *urls: str) -> str:
    began = asyncio.get_running_loop().time()
    with pytest.raises(UnreachableError) as caught:
        await probe.first(urls)
    assert asyncio.get_running_loop().time() - began < LIMIT_S + LOADED_S
    assert caught.value.retry
    return str(caught.value)


def refusal(serve: Serving, scheme: str = "ws") -> str:
    """Return the error text for an unusable server, without its port."""

    async def main() -> str:
        async with listening(serve) as port:
            said = await refused_in_time(Probe(Resolver()), f"{scheme}://127.0.0.1:{port}")
            return said.replace(f":{port}", "")

    return asyncio.run(main())


def site(root: str, rtc: str, asked: list[str] | None = None) -> Serving:
    """Answer the URL's own root with one response, and rtc/validate below it with another, each without "HTTP/1.1"."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        if asked is not None:
            asked.append(path)
        writer.write(f"HTTP/1.1 {rtc if path.endswith('/rtc/validate') else root}".encode())

    return serve


OK = "200 OK\r\nContent-Length: 2\r\n\r\nOK"
PAGE = "200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>"
NO_TOKEN = "401 Unauthorized\r\nContent-Length: 33\r\n\r\nno permissions to access the room"
NOT_FOUND = "404 Not Found\r\nContent-Length: 0\r\n\r\n"
AWAY = "503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


def moved(location: str, status: str = "308 Permanent Redirect") -> str:
    return f"{status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"


def test_livekits_response_at_the_urls_path_is_sufficient() -> None:
    asked: list[str] = []
    probed = look(site(OK, NOT_FOUND, asked))
    assert probed.url.endswith("/some/path")
    assert probed.address == "127.0.0.1"
    assert probed.proxy == ""
    assert asked == ["/some/path/"]


@pytest.mark.parametrize(
    "ok",
    (
        "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\n\r\n",
        "200 OK\r\n\r\nOK",
        "200 OK\r\nContent-Length: 3\r\n\r\nOK\n",
    ),
)
def test_livekits_response_in_any_framing_of_a_proxy(ok: str) -> None:
    assert look(site(ok, NOT_FOUND)).address == "127.0.0.1"


@pytest.mark.parametrize("root", (PAGE, NOT_FOUND, AWAY, moved("https://www.example/"), "204 No Content\r\n\r\n"))
@pytest.mark.parametrize(
    "rtc",
    (
        NO_TOKEN,
        "401 Unauthorized\r\nWWW-Authenticate: Bearer\r\n\r\n",
        "403 Forbidden\r\n\r\n",
        "400 Bad Request\r\nContent-Length: 11\r\n\r\nBad Request",
        "405 Method Not Allowed\r\n\r\n",
        "426 Upgrade Required\r\n\r\n",
        "429 Too Many Requests\r\n\r\n",
    ),
)
def test_livekits_own_path_decides_if_the_root_has_another_site(root: str, rtc: str) -> None:
    asked: list[str] = []
    assert look(site(root, rtc, asked)).address == "127.0.0.1"
    assert asked == ["/some/path/", "/some/path/rtc/validate"]


@pytest.mark.parametrize("status", (500, 502, 503, 504, 599))
def test_a_status_from_500_on_is_a_proxy_without_a_server(status: int) -> None:
    said = refusal(answering(f"{status} X"))
    assert said == f"http://127.0.0.1/rtc/validate answers HTTP {status}: a proxy is there, the LiveKit server is not"


@pytest.mark.parametrize("root", (PAGE, NOT_FOUND, "200 OK\r\nContent-Length: 0\r\n\r\n"))
def test_a_stopped_server_behind_a_proxy_is_reported(root: str) -> None:
    said = refusal(site(root, "502 Bad Gateway\r\n\r\n"))
    assert said == "http://127.0.0.1/rtc/validate answers HTTP 502: a proxy is there, the LiveKit server is not"


def test_an_error_at_the_root_only_is_reported() -> None:
    assert refusal(site(AWAY, NOT_FOUND)).startswith("http://127.0.0.1/ answers HTTP 503: a proxy is there")


@pytest.mark.parametrize(
    ("root", "rtc"),
    (
        (PAGE, PAGE),  # a captive portal
        (PAGE, NOT_FOUND),
        (NOT_FOUND, NOT_FOUND),
        ("204 No Content\r\n\r\n", "204 No Content\r\n\r\n"),
        ('200 OK\r\nContent-Length: 15\r\n\r\n{"status":"ok"}', NOT_FOUND),
        ("499 X\r\n\r\n", "499 X\r\n\r\n"),
    ),
)
def test_something_other_than_livekit_is_reported(root: str, rtc: str) -> None:
    said = refusal(site(root, rtc))
    assert said.startswith("something other than a LiveKit server answers at http://127.0.0.1/ (HTTP ")
    assert "room.url" in said


@pytest.mark.parametrize(
    ("root", "rtc"),
    (
        ("<!DOCTYPE html><title>Hotel Guest WiFi - Log in</title>", ""),
        ("<html><head><title>Captive Portal</title>", "<html><head><title>Captive Portal</title>"),
        ("<HTML><!-- <WISPAccessGatewayParam> -->", ""),
        ("", "<html><form>Please sign in</form>"),
    ),
)
def test_a_login_page_is_named(root: str, rtc: str) -> None:
    def page(text: str) -> str:
        return f"200 OK\r\nContent-Length: {len(text)}\r\n\r\n{text}" if text else NOT_FOUND

    said = refusal(site(page(root), page(rtc)))
    assert said.startswith("http://127.0.0.1/ answered, but is not a LiveKit server: it looks like a login page")


def test_a_network_that_asks_to_log_in_is_named() -> None:
    said = refusal(answering("511 Network Authentication Required"))
    assert "it looks like a login page" in said
    location = "http://login.hotel.example/?zq=1"
    said = refusal(site(moved(location), moved(location)))
    assert "redirects to ws://login.hotel.example; set room.url to that; or it looks like a login page" in said
    assert "zq" not in said


def test_a_site_with_a_password_is_not_a_livekit_server() -> None:
    locked = '401 Unauthorized\r\nWWW-Authenticate: Basic realm="zq"\r\n\r\n'
    said = refusal(site(locked, locked))
    assert said == (
        "http://127.0.0.1/rtc/validate asks for a user and a password (HTTP 401): that is not a LiveKit server"
    )


@pytest.mark.parametrize("status", ("301 X", "302 X", "303 X", "307 X", "308 X"))
@pytest.mark.parametrize(
    ("location", "said"),
    (
        ("https://b.example/", "redirects to wss://b.example; set room.url to that"),
        ("http://b.example:7880/x?access_token=zq", "redirects to ws://b.example:7880; set room.url to that"),
        ("https://u:zq@b.example/zq?zq#zq", "redirects to wss://b.example; set room.url to that"),
        ("//b.example/zq", "redirects to ws://b.example; set room.url to that"),
        ("wss://[2001:db8::1]:443/", "redirects to wss://[2001:db8::1]; set room.url to that"),
        ("https://127.0.0.1/", "redirects to wss://127.0.0.1; set room.url to that"),
        ("ftp://b.example/zq", "redirects without a target; set room.url to the server's own address"),
        ("https://b.example:zq/", "redirects without a target; set room.url to the server's own address"),
        ("", "redirects without a target; set room.url to the server's own address"),
        ("/zq/", "redirects to another path of ws://127.0.0.1; set room.url to the right path"),
    ),
)
def test_a_redirect_is_reported_with_its_target_and_not_followed(status: str, location: str, said: str) -> None:
    assert refusal(site(moved(location, status), moved(location, status))) == f"http://127.0.0.1/ {said}"


def test_a_redirect_without_a_location_is_reported() -> None:
    bare = "302 Found\r\nContent-Length: 0\r\n\r\n"
    assert "redirects without a target" in refusal(site(bare, bare))


@pytest.mark.parametrize("serve", (silent, dripping))
def test_a_server_that_accepts_and_never_answers_is_unreachable(serve: Serving) -> None:
    assert refusal(serve) == f"http://127.0.0.1/ does not answer within {LIMIT_S:g} s"


def test_a_refused_connection_is_reported() -> None:
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
def test_garbage_is_not_a_response(serve: Serving) -> None:
    said = refusal(serve)
    assert said.startswith("http://127.0.0.1/ ")
    assert 20 < len(said) < 200
    assert said.isprintable()


def test_tls_to_a_plain_port_is_reported() -> None:
    said = refusal(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), scheme="wss")
    assert said == "https://127.0.0.1/ answers, but not in TLS; is it a port for ws:// (or http://) instead?"


@pytest.mark.parametrize(
    ("serve", "said"),
    (
        (saying(b"\x15\x03\x01\x00\x02\x02\x46"), "answers in TLS; set room.url to wss://"),
        (
            answering("400 Bad Request", body=b"Client sent an HTTP request to an HTTPS server.\n"),
            "answers, but requires TLS; set room.url to wss://",
        ),
        (
            answering("400 Bad Request", body=b"<h1>The plain HTTP request was sent to HTTPS port</h1>"),
            "answers, but requires TLS; set room.url to wss://",
        ),
    ),
)
def test_plain_http_to_a_tls_port_is_reported(serve: Serving, said: str) -> None:
    assert refusal(serve) == f"http://127.0.0.1/ {said}"


def test_a_body_without_end_is_not_read() -> None:
    assert refusal(endless).startswith("something other than a LiveKit server answers at")


def test_the_servers_own_time() -> None:
    assert look(answering("200 OK", head=f"Date: {DATE}\r\n")).server_time_s == DATE_S
    assert look(answering("200 OK")).server_time_s is None
    assert look(answering("200 OK", head="Date: the day before\r\n")).server_time_s is None


@given(st.text(max_size=60) | st.from_regex(r"\A(Sun, )?\d+ (Nov|Foo) -?\d+ \d+:\d+:\d+ (GMT|[+-]\d+)\Z"))
def test_any_date_header_is_accepted(date: str) -> None:
    assert isinstance(time_of(date), float | None)


@pytest.mark.parametrize(
    ("url", "base"),
    (
        ("ws://h", "http://h/"),
        ("wss://h:7443/a/b", "https://h:7443/a/b/"),
        ("wss://h/a//", "https://h/a/"),
        ("ws://[::1]:7880", "http://[::1]:7880/"),
    ),
)
def test_the_base_url_of_a_rooms_server(url: str, base: str) -> None:
    assert base_of(url) == base


@pytest.mark.parametrize(
    ("url", "host", "path"),
    (
        ("http://h/", "h", "/"),
        ("http://h", "h", "/"),
        ("http://h:80/a b/ü?q", "h", "/a%20b/%C3%BC"),
        ("https://h:443/a%20b", "h", "/a%20b"),
        ("https://H:7443/", "h:7443", "/"),
        ("http://[::1]:7880/x", "[::1]:7880", "/x"),
        ("http://[::1]/x", "[::1]", "/x"),
        ("http://bücher.example/", "xn--bcher-kva.example", "/"),
    ),
)
def test_the_request_line_and_host_of_a_url(url: str, host: str, path: str) -> None:
    assert host_header(urlsplit(url)) == host
    assert request_path(urlsplit(url)) == path


@given(st.text(max_size=60))
def test_any_redirect_target_is_printable_and_without_a_query(location: str) -> None:
    target = redirect_target("http://h/", location, websocket=True)
    assert target.isprintable()
    assert "?" not in target


def test_the_first_server_that_answers_is_used_and_the_others_are_closed() -> None:
    async def main() -> None:
        async with listening(answering("200 OK")) as one, listening(silent) as two, listening(hanging_up) as three:
            urls = [f"ws://127.0.0.1:{port}" for port in (one, two, three)]
            began = asyncio.get_running_loop().time()
            assert (await Probe(Resolver()).first(urls)).url == urls[0]
            assert asyncio.get_running_loop().time() - began < LIMIT_S

    asyncio.run(main())


def test_silent_servers_before_it_cost_one_timeout_in_total() -> None:
    """All are probed in parallel: four silent ones in turn would take 6 s."""

    async def main() -> None:
        async with listening(silent) as deaf, listening(answering("200 OK")) as well:
            urls = [*(f"ws://127.0.0.1:{deaf}/{number}" for number in range(4)), f"ws://127.0.0.1:{well}"]
            began = asyncio.get_running_loop().time()
            assert (await Probe(Resolver()).first(urls)).url == urls[-1]
            assert asyncio.get_running_loop().time() - began < 3 * LIMIT_S

    asyncio.run(main())


def test_servers_that_refuse_cost_no_time() -> None:
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
    assert "http://127.0.0.1:ONE/rtc/validate answers HTTP 502" in said
    assert "; http://127.0.0.1:TWO/ does not answer within" in said


def test_each_probe_closes_its_connection() -> None:
    async def main() -> None:
        ended = asyncio.Queue[bytes]()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
            ended.put_nowait(await reader.read())

        async with listening(serve) as port:
            probe = Probe(Resolver())
            for _ in range(20):
                await probe.probe(f"ws://127.0.0.1:{port}")
                async with asyncio.timeout(10):
                    assert await ended.get() == b""

    asyncio.run(main())
