"""The legs of the way to a server: if one fails, its row says so, and what to do."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import io
import json
import random
import struct
from typing import TYPE_CHECKING

import pytest

from device.check import legs, signal, turn
from device.check.report import Report
from device.network import rules, tls
from device.network.resolver import Resolver
from device.network.rules import NetworkRules
from tests.support.certificates import Authority
from tests.support.connect_proxy import connect_proxy
from tests.support.listening import listening
from tests.support.reverse_proxy import OK, reverse_proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    tls.forget_authorities()
    yield
    tls.forget_authorities()


class _Names(Resolver):
    def __init__(self, *addresses: str) -> None:
        super().__init__()
        self._addresses = addresses

    async def resolve(self, host: str, *, within_s: float) -> list[str]:
        return list(self._addresses) or await super().resolve(host, within_s=within_s)


async def _rows(url: str, *addresses: str, network: NetworkRules | None = None) -> dict[str, str]:
    report = Report(stream=(out := io.StringIO()))
    with rules.instead(network or NetworkRules()):
        good = await legs.reached(report, url, _Names(*addresses))
    rows = {line.split()[1]: line for line in out.getvalue().splitlines()}
    assert good == all(line[0] in "✓!" for line in rows.values())
    assert "zq" not in out.getvalue()
    return rows


async def _closed_port() -> int:
    async with listening(lambda _reader, _writer: asyncio.sleep(0)) as port:
        return port


def test_a_name_that_does_not_resolve() -> None:
    rows = asyncio.run(_rows("wss://room.invalid"))
    assert list(rows) == ["name"]
    assert rows["name"].startswith("✗")


def test_a_port_that_is_closed_and_an_address_that_fails() -> None:
    async def main() -> None:
        rows = await _rows(f"ws://h:{await _closed_port()}", "127.0.0.1")
        assert list(rows) == ["name", "tcp"]
        assert "127.0.0.1:" in rows["tcp"]
        assert "Connection refused; look at room.url and the firewall" in rows["tcp"]
        async with reverse_proxy({"": OK}) as server:
            rows = await _rows(f"ws://h:{server.port}", "127.9.9.9", "127.0.0.1")
        assert rows["tcp"].startswith("!")
        assert f"127.0.0.1:{server.port} in " in rows["tcp"]
        assert f"but 127.9.9.9:{server.port}: Connection refused; the device goes round that" in rows["tcp"]

    asyncio.run(main())


def test_a_proxy_that_refuses_and_one_that_connects() -> None:
    async def main() -> None:
        async with reverse_proxy({"": OK}) as server, connect_proxy(credentials="u:zqpassword") as proxy:
            url = f"ws://127.0.0.1:{server.port}"
            where = f"127.0.0.1:{proxy.port}"
            rows = await _rows(url, network=NetworkRules(proxy=f"http://u:zqwrong@{where}"))
            assert rows["proxy"].startswith("✗")
            assert f"the proxy {where} (of network.proxy) refuses (HTTP 407)" in rows["proxy"]
            rows = await _rows(url, network=NetworkRules(proxy=f"http://u:zqpassword@{where}"))
            assert f"{where} connects to 127.0.0.1:{server.port}" in rows["proxy"]
            rows = await _rows(url, network=NetworkRules(proxy="socks5://zq@h"))
            assert "network.proxy is not an HTTP proxy; allowed is" in rows["proxy"]

    asyncio.run(main())


def test_a_certificate_that_is_refused_and_one_that_is_trusted(tmp_path: Path) -> None:
    authority = Authority.made_in(tmp_path / "ca")

    async def main() -> None:
        async with reverse_proxy({"": OK}, context=authority.context()) as server:
            url = f"wss://127.0.0.1:{server.port}"
            rows = await _rows(url)
            assert rows["tls"].startswith("✗")
            assert "unknown issuer" in rows["tls"]
            rows = await _rows(url, network=NetworkRules(ca_file=str(authority.certificate)))
            assert "TLSv1.3, a certificate of the test's authority until " in rows["tls"]
            rows = await _rows(url, network=NetworkRules(ca_file="/nowhere.pem"))
            assert "network.ca_file: /nowhere.pem cannot be read" in rows["tls"]

    asyncio.run(main())


def _field(number: int, content: bytes) -> bytes:
    assert len(content) < 1 << 14
    return bytes((number << 3 | 2, len(content) & 0x7F | 0x80, len(content) >> 7)) + content


def _frame(content: bytes) -> bytes:
    return struct.pack(">BBH", 0x82, 126, len(content)) + content


def _candidate(text: str) -> bytes:
    return _frame(_field(4, _field(1, json.dumps({"candidate": f"candidate:1 1 {text} typ host"}).encode())))


async def _offered(answer: bytes) -> signal.Offered:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"Authorization: Bearer zqtoken\r\n" in await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        await reader.read()

    async with listening(serve) as port:
        return await signal.offered(f"ws://127.0.0.1:{port}/path", "zqtoken", Resolver())


_UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


def test_what_the_server_offers_for_media(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "_LISTEN_S", 0.2)
    ice_server = _field(1, b"turn:h:3478?transport=udp") + _field(1, b"stun:h") + _field(2, b"u") + _field(3, b"p")
    join = _frame(_field(1, _field(5, ice_server) + b"\x30\x01"))
    found = asyncio.run(
        _offered(
            _UPGRADED
            + join
            + _frame(b"\xff\xff\xff")
            + _candidate("udp 1 10.0.0.1 7882")
            + _candidate("tcp 1 10.0.0.1 7881")
            + _candidate("tcp 1 10.0.0.1 9")
            + _candidate("no candidate")
        )
    )
    assert found.candidates == (("udp", "10.0.0.1", 7882), ("tcp", "10.0.0.1", 7881))
    assert [each.url for each in found.ice_servers] == ["turn:h:3478?transport=udp", "stun:h"]
    assert (found.ice_servers[0].username, found.ice_servers[0].credential) == ("u", "p")


@pytest.mark.parametrize(
    ("answer", "said"),
    (
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK", "HTTP 200 to a WebSocket handshake: a proxy on the way"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP 404"),
        (b"nonsense\r\n\r\n", "closes the connection at a WebSocket handshake"),
        (_UPGRADED, "nothing comes through it"),
        (_UPGRADED + b"\x88\x00", "nothing comes through it"),
        (_UPGRADED + b"\x82\x7f" + b"\xff" * 8, "nothing comes through it"),
    ),
)
def test_a_websocket_that_does_not_work(answer: bytes, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "_LISTEN_S", 0.2)
    with pytest.raises(signal.SignalError, match=said) as caught:
        asyncio.run(_offered(answer))
    assert "zqtoken" not in str(caught.value)


def test_what_is_no_protobuf_is_read_without_an_error() -> None:
    generator = random.Random(7)
    for _ in range(2000):
        content = generator.randbytes(generator.randrange(40))
        assert all(len(value) <= len(content) for _, value in signal.fields(content))


def _stun(kind: int, number: bytes, *attributes: tuple[int, bytes]) -> bytes:
    return turn.packed(kind, number, dict(attributes))


def _turn_server(password: str) -> Callable[[bytes], bytes]:
    """Return what answers a request like a TURN server with long-term credentials."""
    key = hashlib.md5(f"u:test:{password}".encode(), usedforsecurity=False).digest()
    error = (9, b"\0\0\x04\x01"), (0x14, b"test"), (0x15, b"nonce")

    def answer(request: bytes) -> bytes:
        kind, number = struct.unpack(">H", request[:2])[0], request[8:20]
        found = turn.unpacked(request)
        signed, proof = request[:-24], found.get(8)
        if proof is None or proof != hmac.new(key, signed, hashlib.sha1).digest():
            return _stun(kind | 0x110, number, *error)
        assert (found[6], found[0x14], found[0x15]) == (b"u", b"test", b"nonce")
        relayed = struct.pack(">BBHI", 0, 1, 0, 0x0A000001 ^ 0x2112A442)
        return _stun(kind | 0x100, number, (0x16, relayed))

    return answer


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self._ignored = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._ignored += 1
        if self._ignored > 1:  # the first one is lost
            self._transport.sendto(self._answer(data), addr)  # type: ignore[attr-defined]


async def _relayed(transport: str, *, password: str = "pw") -> str:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readexactly(20)
            writer.write(_turn_server("pw")(head + await reader.readexactly(struct.unpack(">H", head[2:4])[0])))

    datagrams, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Datagrams(_turn_server("pw")), local_addr=("127.0.0.1", 0)
    )
    try:
        async with listening(serve) as port:
            chosen = datagrams.get_extra_info("sockname")[1] if transport == "udp" else port
            url = f"turn:127.0.0.1:{chosen}?transport={transport}"
            server = turn.TurnServer.of_url(url, username="u", credential=password)
            assert server
            return await turn.relay_address(server, Resolver())
    finally:
        datagrams.close()


@pytest.mark.parametrize("transport", ("udp", "tcp"))
def test_a_turn_server_gives_a_relay_address(transport: str) -> None:
    assert asyncio.run(_relayed(transport)) == "10.0.0.1"
    with pytest.raises(turn.TurnError, match="refuses the credentials that the LiveKit server gives out") as caught:
        asyncio.run(_relayed(transport, password="zqwrong"))
    assert "zqwrong" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "parts"),
    (
        ("turn:h", (False, "h", 3478, "udp")),
        ("turn:h:80?transport=tcp", (False, "h", 80, "tcp")),
        ("turns:h", (True, "h", 5349, "tcp")),
        ("turns:[2001:db8::1]:443?transport=tcp", (True, "2001:db8::1", 443, "tcp")),
        ("stun:h", None),
        ("turn:", None),
    ),
)
def test_turn_urls(url: str, parts: tuple[object, ...] | None) -> None:
    found = turn.TurnServer.of_url(url, username="", credential="")
    assert (found and (found.secure, found.host, found.port, found.transport)) == parts
