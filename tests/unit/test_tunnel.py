"""The loopback proxy for the SDK: only with its password, only to the one server."""

from __future__ import annotations

import asyncio
import base64
import itertools
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from device.network.probe import Probe
from device.network.resolver import Resolver
from device.network.sdk import sdk_connects_to
from device.network.tunnel import tunnel
from tests.support.listening import listening
from tests.support.reverse_proxy import OK, reverse_proxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from device.network.probe import ProbeResult


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"echo " + await reader.readexactly(4))
    await writer.drain()
    writer.close()


async def _asked(url: str, request: Callable[[str], str], sent: bytes = b"") -> bytes:
    parts = urlsplit(url)
    userinfo = base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
    reader, writer = await asyncio.open_connection("127.0.0.1", parts.port)
    writer.write(request(userinfo).encode() + sent)
    try:
        return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("head", "status"),
    (
        ("CONNECT {there} HTTP/1.1\r\nProxy-Authorization: Basic {userinfo}\r\n\r\n", b"200"),
        ("CONNECT {there} HTTP/1.1\r\nproxy-authorization: basic {userinfo}\r\n\r\n", b"200"),
        ("CONNECT {there} HTTP/1.1\r\n\r\n", b"407"),
        ("CONNECT {there} HTTP/1.1\r\nProxy-Authorization: Basic eDp5\r\n\r\n", b"407"),
        ("CONNECT 127.0.0.1:1 HTTP/1.1\r\nProxy-Authorization: Basic {userinfo}\r\n\r\n", b"403"),
        ("GET http://{there}/ HTTP/1.1\r\nProxy-Authorization: Basic {userinfo}\r\n\r\n", b"403"),
    ),
)
def test_only_the_sdk_gets_through_and_only_to_the_server(head: str, status: bytes) -> None:
    async def scenario() -> None:
        async with listening(_echo) as port, tunnel(f"ws://127.0.0.1:{port}/path", Resolver()) as url:
            there = f"127.0.0.1:{port}"
            answer = await _asked(url, lambda userinfo: head.format(there=there, userinfo=userinfo), b"ping")
            assert answer.split(b" ")[1] == status
            assert answer.endswith(b"echo ping") == (status == b"200")

    asyncio.run(scenario())


def test_a_server_that_is_away_is_a_bad_gateway() -> None:
    async def scenario() -> None:
        async with listening(_echo) as port:
            pass
        async with tunnel(f"ws://127.0.0.1:{port}", Resolver()) as url:
            answer = await _asked(
                url, lambda it: f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nProxy-Authorization: Basic {it}\r\n\r\n"
            )
            assert answer.startswith(b"HTTP/1.1 502")

    asyncio.run(scenario())


class _Names(Resolver):
    """Resolves each name to two addresses; the first has no server."""

    def __init__(self, *addresses: str, late_s: float = 0) -> None:
        super().__init__()
        self._addresses, self._late_s = addresses, late_s

    async def resolve(self, host: str, *, within_s: float) -> list[str]:  # noqa: ARG002
        await asyncio.sleep(self._late_s)
        return list(self._addresses)


def test_the_sdk_gets_a_detour_only_if_the_first_address_fails_or_names_are_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put: dict[str, str] = {}
    monkeypatch.setattr("os.putenv", put.__setitem__)

    async def probed(*addresses: str, late_s: float = 0) -> ProbeResult:
        async with reverse_proxy({"": OK}) as server:
            return await Probe(_Names(*addresses, late_s=late_s)).probe(f"ws://device.test:{server.port}")

    async def scenario() -> None:
        for addresses, late_s in itertools.product((("127.0.0.1",), ("127.9.9.9", "127.0.0.1")), (0, 0.4)):
            found = await probed(*addresses, late_s=late_s)
            assert found.address == "127.0.0.1"
            assert found.detour == (len(addresses) > 1 or late_s > 0)
            async with sdk_connects_to(found, Resolver()):
                assert put["HTTP_PROXY"].startswith("http://sdk:") == found.detour
                assert bool(put["HTTP_PROXY"]) == found.detour

    asyncio.run(scenario())
