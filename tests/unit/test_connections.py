"""Connections through proxies and with TLS, on small servers: successes, and the texts of errors."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from device.errors import CredentialError, UnreachableError
from device.network import tls
from device.network.http import http_session
from device.network.probe import Probe, ProbeResult
from device.network.resolver import Resolver
from device.telemetry.attributes import Attributes
from device.tokens.endpoint import Endpoint
from device.tokens.join_token import TokenRequest
from tests.support.certificates import Authority
from tests.support.connect_proxy import ConnectProxy, connect_proxy
from tests.support.listening import listening
from tests.support.reverse_proxy import OK, reverse_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATE, DATE_S = "Sun, 06 Nov 1994 08:49:37 GMT", 784111777.0
DATED = f"200 OK\r\nDate: {DATE}\r\nContent-Length: 2\r\n\r\nOK"


async def look(url: str) -> ProbeResult:
    return await Probe(Resolver()).probe(url)


async def refusal(url: str) -> str:
    with pytest.raises(UnreachableError) as caught:
        await look(url)
    assert caught.value.retry
    return str(caught.value)


@pytest.fixture(autouse=True)
def own_authorities(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    tls.forget_authorities()
    yield
    tls.forget_authorities()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made_in(tmp_path_factory.mktemp("tls") / "ca")


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Authority:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    return authority


class Through:
    """Run a proxy, a server and the probe, with the proxy in the environment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def use(self, proxy: ConnectProxy, userinfo: str = "") -> str:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            self._monkeypatch.setenv(name, f"http://{userinfo}127.0.0.1:{proxy.port}")
        return f"127.0.0.1:{proxy.port}"


@pytest.fixture
def through(monkeypatch: pytest.MonkeyPatch) -> Through:
    return Through(monkeypatch)


def test_a_name_that_only_the_proxy_resolves_is_reached_through_it(through: Through) -> None:
    async def main() -> None:
        async with (
            connect_proxy(names={"room.hidden": "127.0.0.1"}, credentials="u:pw") as proxy,
            reverse_proxy({"": DATED}) as server,
        ):
            named = through.use(proxy, "u:pw@")
            probed = await look(f"ws://room.hidden:{server.port}")
            assert proxy.asked == [f"room.hidden:{server.port}"]
            assert (probed.address, probed.proxy) == ("127.0.0.1", named)
            assert probed.server_time_s == DATE_S

    asyncio.run(main())


def test_tls_through_a_proxy_is_with_the_server(through: Through, trusted: Authority) -> None:
    async def main() -> None:
        context = trusted.context("DNS:room.hidden")
        async with (
            connect_proxy(names={"room.hidden": "127.0.0.1", "other.hidden": "127.0.0.1"}) as proxy,
            reverse_proxy({"": OK}, context=context) as server,
        ):
            through.use(proxy)
            assert (await look(f"wss://room.hidden:{server.port}")).proxy
            said = await refusal(f"wss://other.hidden:{server.port}")
            assert "has a certificate for room.hidden, not for other.hidden" in said

    asyncio.run(main())


@pytest.mark.parametrize("exempt", ("127.0.0.1", "127.0.0.0/8", "*"))
def test_no_proxy_is_honoured(through: Through, monkeypatch: pytest.MonkeyPatch, exempt: str) -> None:
    async def main() -> None:
        async with connect_proxy(refuses_with="500 X") as proxy, reverse_proxy({"": OK}) as server:
            through.use(proxy)
            monkeypatch.setenv("NO_PROXY", exempt)
            assert (await look(f"ws://127.0.0.1:{server.port}")).proxy == ""
            assert not proxy.asked

    asyncio.run(main())


@pytest.mark.parametrize(
    ("status", "said"),
    (
        ("407 X", "refuses (HTTP 407): set its user and password: http://USER:PASSWORD@HOST:PORT"),
        ("403 X", "refuses (HTTP 403): it does not allow this host or port"),
        ("405 X", "refuses (HTTP 405): it does not support tunnels (CONNECT)"),
        ("502 X", "refuses (HTTP 502): it does not reach the server"),
        ("504 X", "refuses (HTTP 504): it does not reach the server"),
        ("302 X", "refuses (HTTP 302)"),
        ("418 X", "refuses (HTTP 418)"),
    ),
)
def test_a_proxy_that_refuses_is_named_without_its_password(through: Through, status: str, said: str) -> None:
    async def main() -> None:
        async with connect_proxy(refuses_with=status) as proxy:
            named = through.use(proxy, "zq:zqpw@")
            found = await refusal("ws://room.hidden")
            assert found == f"http://room.hidden/ cannot be reached: the proxy {named} (of HTTP_PROXY) {said}"

    asyncio.run(main())


def test_a_wrong_proxy_password_is_an_error(through: Through) -> None:
    async def main() -> None:
        async with connect_proxy(credentials="u:right") as proxy:
            through.use(proxy, "u:zqwrong@")
            found = await refusal("wss://room.hidden")
            assert "(of HTTPS_PROXY) refuses (HTTP 407)" in found
            assert "zq" not in found

    asyncio.run(main())


def test_an_unreachable_proxy_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://u:zq@127.0.0.1:9")
    assert asyncio.run(refusal("ws://127.0.0.1:7")) == (
        "http://127.0.0.1:7/ cannot be reached: the proxy 127.0.0.1:9 (of HTTP_PROXY) cannot be reached: "
        "Connection refused"
    )
    monkeypatch.setenv("HTTP_PROXY", "http://u:zq@a..invalid:9")
    assert "HTTP_PROXY is not a URL" in asyncio.run(refusal("ws://127.0.0.1:7"))
    monkeypatch.setenv("HTTP_PROXY", "http://u:zq@does-not-exist.invalid:9")
    assert "the proxy does-not-exist.invalid:9 (of HTTP_PROXY) does not resolve" in asyncio.run(refusal("ws://h"))
    monkeypatch.setenv("HTTP_PROXY", "socks5://u:zq@127.0.0.1:9")
    assert "HTTP_PROXY is not an HTTP proxy; allowed is http://" in asyncio.run(refusal("ws://h"))


@pytest.mark.parametrize("raw", (b"\x15\x03\x01\x00\x02\x02\x46", b"SSH-2.0\r\n", b""))
def test_a_proxy_that_does_not_speak_http_is_an_error(monkeypatch: pytest.MonkeyPatch, raw: bytes) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        await writer.drain()

    async def main() -> None:
        async with listening(babble) as port:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
            assert "does not answer in HTTP" in await refusal("ws://room.hidden")

    asyncio.run(main())


def test_the_token_endpoint_is_called_through_the_same_proxy(through: Through, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = TokenRequest(
        urls=("wss://h",), room="", identity="", derived_identity="d", display_name="", attributes=Attributes()
    )

    async def obtain(url: str) -> str:
        with pytest.raises(CredentialError) as caught:
            await Endpoint(wanted=wanted, url=url).obtain()
        return str(caught.value)

    async def main() -> None:
        teapot = "418 X\r\nContent-Length: 0\r\n\r\n"
        async with (
            connect_proxy(names={"tokens.hidden": "127.0.0.1"}) as proxy,
            reverse_proxy({"": teapot}) as server,
        ):
            named = through.use(proxy, "u:zq@")
            url = f"http://tokens.hidden:{server.port}/token?key=zq"
            assert "answered HTTP 418" in await obtain(url)
            assert proxy.asked == [f"tokens.hidden:{server.port}"]
            proxy.refuses_with = "403 X"
            said = await obtain(url)
            assert f"cannot be reached: the proxy {named} (of HTTP_PROXY) refuses (HTTP 403)" in said
            assert "zq" not in said
            monkeypatch.setenv("no_proxy", "127.0.0.1")
            assert "answered HTTP 418" in await obtain(f"http://127.0.0.1:{server.port}/token")

    asyncio.run(main())


@pytest.mark.parametrize("status", ("302 X", "308 X"))
def test_no_request_of_ours_follows_a_redirect(status: str) -> None:
    """It would send its token along."""

    async def main() -> None:
        async with reverse_proxy({"": OK}) as other:
            moved = f"{status}\r\nLocation: http://127.0.0.1:{other.port}/x\r\nContent-Length: 0\r\n\r\n"
            async with reverse_proxy({"": moved}) as server, http_session(None, within_s=5) as session:
                with pytest.raises(UnreachableError, match=f"redirects to ws://127.0.0.1:{other.port}; set room.url"):
                    await session.post(f"http://127.0.0.1:{server.port}/", headers={"Authorization": "Bearer x"})
            assert not other.requests

    asyncio.run(main())


def test_errors_after_the_connection_are_aiohttps_own() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    async def main() -> None:
        async with listening(hang_up) as port, http_session(None, within_s=5) as session:
            with pytest.raises(aiohttp.ClientError):
                await session.get(f"http://127.0.0.1:{port}/")

    asyncio.run(main())


async def _refused_tls(context: ssl.SSLContext, host: str = "127.0.0.1") -> str:
    async with reverse_proxy({"": DATED}, context=context) as server:
        said = await refusal(f"wss://{host}:{server.port}")
        assert not server.requests
        return said.replace(f":{server.port}", "")


def test_a_trusted_certificate_is_accepted_and_the_servers_time_is_read(trusted: Authority) -> None:
    async def main() -> None:
        async with reverse_proxy({"": DATED}, context=trusted.context()) as server:
            assert (await look(f"wss://127.0.0.1:{server.port}")).server_time_s == DATE_S

    asyncio.run(main())


def test_an_unknown_issuer_is_an_error_with_a_remedy(authority: Authority) -> None:
    said = asyncio.run(_refused_tls(authority.context()))
    assert said.startswith("https://127.0.0.1/ has a certificate of an unknown issuer; ")
    assert "network.ca_file" in said


def test_a_self_signed_certificate_is_an_error(authority: Authority) -> None:
    said = asyncio.run(_refused_tls(authority.self_signed()))
    assert said.startswith("https://127.0.0.1/ has a self-signed certificate; ")


@pytest.mark.parametrize(
    ("names", "host", "said"),
    (
        ("DNS:a.example,DNS:*.b.example", "127.0.0.1", "for a.example, *.b.example, not for 127.0.0.1"),
        ("IP:192.0.2.7,DNS:a.example", "localhost", "for 192.0.2.7, a.example, not for localhost"),
        ("URI:http://zq/zq", "localhost", "for another name, not for localhost"),
    ),
)
def test_a_certificate_for_another_name_is_an_error_with_its_names(
    trusted: Authority, names: str, host: str, said: str
) -> None:
    found = asyncio.run(_refused_tls(trusted.context(names), host))
    assert found.startswith(f"https://{host}/ has a certificate {said}; use the name in the certificate (")


def test_a_certificate_that_is_not_valid_yet_is_an_error_with_the_clock(trusted: Authority) -> None:
    """A board whose clock is years behind gets this for every certificate."""
    said = asyncio.run(_refused_tls(trusted.context(from_days=400, to_days=800)))
    assert re.search(r"not valid yet by this clock \(\d{4}-\d\d-\d\d \d\d:\d\d UTC\); is this clock right\?", said)


def test_an_expired_certificate_is_an_error(trusted: Authority) -> None:
    said = asyncio.run(_refused_tls(trusted.context(from_days=-20, to_days=-10)))
    assert re.search(r"has a certificate that expired by this clock \(.* UTC\); renew it on the server", said)


def test_an_authority_that_is_added_later_is_used_at_once(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle = tmp_path / "ca.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))

    async def main() -> None:
        async with reverse_proxy({"": OK}, context=authority.context()) as server:
            url = f"wss://127.0.0.1:{server.port}"
            assert "unknown issuer" in await refusal(url)
            bundle.write_text(authority.certificate.read_text())
            assert (await look(url)).url == url

    asyncio.run(main())


@pytest.mark.parametrize(
    ("reason", "said"),
    (
        ("TLSV1_ALERT_PROTOCOL_VERSION", "speaks a version of TLS that is too old; allowed is TLS 1.2 or newer"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "cannot be reached: TLS fails (sslv3 alert handshake failure)"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "wants a certificate of this device; that is not supported"),
        ("WRONG_VERSION_NUMBER", "answers, but not in TLS; is it a port for ws:// (or http://) instead?"),
        ("zq zq", "cannot be reached: TLS fails (unknown)"),
        (None, "cannot be reached: TLS fails (unknown)"),
    ),
)
def test_tls_errors_have_fixed_texts(reason: str | None, said: str) -> None:
    error: Any = ssl.SSLError(1, "zq")
    error.reason = reason
    assert tls.error_text(error, host="h") == said


def test_the_connected_address_of_several_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_asked: object, **_more: object) -> list[Any]:
        return [(0, 0, 0, "", (address, 0)) for address in ("::1", "127.0.0.2", "127.0.0.1")]

    async def main() -> None:
        async with reverse_proxy({"": OK}) as server:
            monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
            assert (await look(f"ws://room.example:{server.port}")).address == "127.0.0.1"

    asyncio.run(main())


def test_a_name_without_a_reachable_address_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_asked: object, **_more: object) -> list[Any]:
        return [(0, 0, 0, "", (address, 0)) for address in ("::1", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    said = asyncio.run(refusal("ws://room.example:9"))
    assert said in (
        "http://room.example:9/ cannot be reached: Connection refused",
        "http://room.example:9/ cannot be reached: none of its addresses answers",  # without IPv6
    )
