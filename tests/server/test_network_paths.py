"""The daemon and `check` with a real server behind a path, a proxy, TLS or a redirect."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support import daemon as daemons
from tests.support.certificates import Authority
from tests.support.commands import command
from tests.support.connect_proxy import connect_proxy
from tests.support.reverse_proxy import AWAY, NOT_FOUND, OK, PAGE, reverse_proxy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.livekit_server import Server

# No picture is checked here, so publish the minimum, without a camera.
_SOUND = {"DEVICE_CAMERA__SOURCE": "off"}
_LIVE_S = 30.0


async def _until_live(config: Path, variables: dict[str, str]) -> list[str]:
    """Run the daemon until it is live; return its log."""
    with daemons.running(config, variables) as daemon:
        await asyncio.to_thread(daemon.event, "room.state", new="live", within_s=_LIVE_S)
        return daemon.text


async def _until_waiting(config: Path, variables: dict[str, str]) -> str:
    """Run the daemon until it logs why it is not in the room; return that."""
    with daemons.running(config, variables) as daemon:
        return str((await asyncio.to_thread(daemon.event, "room.waiting", within_s=_LIVE_S))["why"])


async def _check(config: Path, variables: dict[str, str]) -> dict[str, str]:
    """Return the rows of `check` by name."""
    done = await asyncio.to_thread(command, "check", "--config", config, variables=variables)
    assert "Traceback" not in done.stdout + done.stderr
    assert "TaskGroup" not in done.stdout + done.stderr
    return {line.split()[1]: line for line in done.stdout.splitlines()}


@pytest.mark.parametrize("root", (AWAY, NOT_FOUND, PAGE))
def test_a_server_below_a_path_is_found(server: Server, room: str, config: Path, root: str) -> None:
    async def scenario() -> None:
        async with reverse_proxy({"": root, "/lk": server.ports[0]}) as proxy:
            url = f"ws://127.0.0.1:{proxy.port}/lk/"
            await _until_live(config, daemons.environment(server, room, **_SOUND, DEVICE_ROOM__URL=url))
            assert any(head.startswith("GET /lk/rtc/v1?") for head in proxy.requests)
            assert not [head for head in proxy.requests if not head.split(" ")[1].startswith("/lk/")]

    asyncio.run(scenario())


def test_a_server_whose_proxy_has_a_site_at_the_root_is_found(server: Server, room: str, config: Path) -> None:
    port = server.ports[0]

    async def scenario() -> None:
        # A proxy that forwards by path prefix keeps the prefix if it belongs to the server.
        async with reverse_proxy({"": port}) as whole, reverse_proxy({"": AWAY, "/keep": whole.port}) as proxy:
            url = f"ws://127.0.0.1:{proxy.port}/keep"
            await _until_live(config, daemons.environment(server, room, **_SOUND, DEVICE_ROOM__URL=url))

    asyncio.run(scenario())


def test_check_uses_the_path_in_each_step_and_sends_the_token_in_no_query(
    server: Server, room: str, config: Path
) -> None:
    async def scenario() -> None:
        async with reverse_proxy({"": AWAY, "/lk": server.ports[0]}) as proxy:
            variables = daemons.environment(server, room, **_SOUND, DEVICE_ROOM__URL=f"ws://127.0.0.1:{proxy.port}/lk/")
            rows = await _check(config, variables)
            assert {line[0] for line in rows.values()} <= {"✓", "-"}, rows
            assert f"http://127.0.0.1:{proxy.port}/lk/ answers" in rows["server"]
            validated = [head for head in proxy.requests if head.startswith("GET /lk/rtc/validate ")]
            assert len(validated) == 1
            assert "Authorization: Bearer eyJ" in validated[0]
            assert not [head for head in proxy.requests if "access_token" in head.split(" ")[1]]

    asyncio.run(scenario())


def test_a_stopped_server_behind_a_proxy_is_reported(server: Server, room: str, config: Path) -> None:
    async def scenario() -> None:
        async with reverse_proxy({"": OK, "/lk": 9}) as proxy:
            base = f"http://127.0.0.1:{proxy.port}/lk/"
            variables = daemons.environment(server, room, **_SOUND, DEVICE_ROOM__URL=base)
            said = f"{base}rtc/validate answers HTTP 502: a proxy is there, the LiveKit server is not"
            assert await _until_waiting(config, variables) == said
            rows = await _check(config, variables)
            assert rows["server"].startswith("✗")
            assert said in rows["server"]

    asyncio.run(scenario())


@pytest.mark.parametrize("status", ("302 Found", "308 Permanent Redirect"))
def test_a_redirect_is_reported_and_the_token_is_not_sent(
    server: Server, room: str, config: Path, tmp_path: Path, status: str
) -> None:
    async def scenario() -> None:
        async with reverse_proxy({"": server.ports[0]}) as other:
            moved = f"{status}\r\nLocation: http://127.0.0.1:{other.port}/?zq\r\nContent-Length: 0\r\n\r\n"
            async with reverse_proxy({"": moved}) as first:
                variables = (
                    daemons.with_ready_token(server, room, tmp_path / "token")
                    | _SOUND
                    | {"DEVICE_ROOM__URL": f"ws://127.0.0.1:{first.port}"}
                )
                said = f"http://127.0.0.1:{first.port}/ redirects to ws://127.0.0.1:{other.port}; set room.url to that"
                assert await _until_waiting(config, variables) == said
                rows = await _check(config, variables)
                assert rows["server"].startswith("✗")
                assert said in rows["server"]
                token = (tmp_path / "token").read_text()
                assert not other.requests
                assert not [head for head in first.requests if token in head]

    asyncio.run(scenario())


def test_a_redirect_of_the_token_endpoint_is_reported(server: Server, room: str, config: Path) -> None:
    async def scenario() -> None:
        moved = "307 X\r\nLocation: https://tokens.example/zq?zq\r\nContent-Length: 0\r\n\r\n"
        async with reverse_proxy({"": moved}) as proxy:
            variables = daemons.environment(
                server,
                room,
                **_SOUND,
                DEVICE_CREDENTIALS__API_KEY="",
                DEVICE_CREDENTIALS__API_SECRET="",
                DEVICE_CREDENTIALS__ENDPOINT=f"http://127.0.0.1:{proxy.port}/token",
            )
            said = "redirects to https://tokens.example; set credentials.endpoint to that"
            rows = await _check(config, variables)
            assert said in rows["grants"]
            with daemons.running(config, variables) as daemon:
                why = (await asyncio.to_thread(daemon.event, "room.waiting", within_s=_LIVE_S))["why"]
                assert said in why
                assert "zq" not in why

    asyncio.run(scenario())


def test_no_proxy_is_honoured_by_the_sdk_too(server: Server, room: str, config: Path) -> None:
    variables = daemons.environment(server, room, **_SOUND, HTTP_PROXY="http://127.0.0.1:9", NO_PROXY="127.0.0.1")
    asyncio.run(_until_live(config, variables))


def test_check_passes_where_no_proxy_covers_the_server(server: Server, room: str, config: Path) -> None:
    variables = daemons.environment(server, room, **_SOUND, http_proxy="http://127.0.0.1:9", no_proxy="127.0.0.0/8")
    rows = asyncio.run(_check(config, variables))
    assert {line[0] for line in rows.values()} <= {"✓", "-"}, rows
    assert "proxy" not in "".join(rows.values())


@pytest.mark.parametrize("scheme", ("http://", "", "https://"))
def test_a_name_that_only_the_proxy_resolves_is_joined_through_it(
    server: Server, room: str, config: Path, scheme: str
) -> None:
    async def scenario() -> None:
        async with connect_proxy(names={"room.hidden": "127.0.0.1"}, credentials="user:zqpw!") as proxy:
            target = f"room.hidden:{server.ports[0]}"
            variables = daemons.environment(
                server,
                room,
                **_SOUND,
                DEVICE_ROOM__URL=f"ws://{target}",
                HTTP_PROXY=f"{scheme}user:zqpw%21@127.0.0.1:{proxy.port}",
            )
            text = await _until_live(config, variables)
            assert "zqpw" not in "".join(text)
            assert set(proxy.asked) == {target}
            assert proxy.refused == 0

    asyncio.run(scenario())


def test_check_names_the_proxy_and_never_its_password(server: Server, room: str, config: Path) -> None:
    async def scenario() -> None:
        async with connect_proxy(names={"room.hidden": "127.0.0.1"}, credentials="user:zqpw") as proxy:
            variables = daemons.environment(
                server,
                room,
                **_SOUND,
                DEVICE_ROOM__URL=f"ws://room.hidden:{server.ports[0]}",
                HTTP_PROXY=f"http://user:zqpw@127.0.0.1:{proxy.port}",
            )
            rows = await _check(config, variables)
            assert {line[0] for line in rows.values()} <= {"✓", "-"}, rows
            assert f"answers (through the proxy 127.0.0.1:{proxy.port})" in rows["server"]
            variables["HTTP_PROXY"] = f"http://user:zqother@127.0.0.1:{proxy.port}"
            rows = await _check(config, variables)
            said = f"the proxy 127.0.0.1:{proxy.port} (of HTTP_PROXY) refuses (HTTP 407)"
            assert said in rows["proxy"]
            assert "zq" not in "".join(rows.values())
            assert said in await _until_waiting(config, variables)

    asyncio.run(scenario())


def test_a_server_with_tls_is_joined_when_its_issuer_is_trusted(
    server: Server, room: str, config: Path, tmp_path: Path
) -> None:
    authority = Authority.made_in(tmp_path / "ca")
    bundle = tmp_path / "bundle.pem"

    async def scenario() -> None:
        async with reverse_proxy({"": server.ports[0]}, context=authority.context()) as proxy:
            variables = daemons.environment(
                server,
                room,
                **_SOUND,
                DEVICE_ROOM__URL=f"wss://127.0.0.1:{proxy.port}",
                SSL_CERT_FILE=str(bundle),
            )
            with daemons.running(config, variables) as daemon:
                waiting = await asyncio.to_thread(daemon.event, "room.waiting", within_s=_LIVE_S)
                assert "has a certificate of an unknown issuer" in waiting["why"]
                bundle.write_text(authority.certificate.read_text())
                await asyncio.to_thread(daemon.event, "room.state", new="live", within_s=_LIVE_S)
            rows = await _check(config, variables)
            assert rows["server"].startswith("✓")
            assert rows["clock"].startswith("✓")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("answer", "said"),
    (
        ("401 X", "the server refuses it (HTTP 401); is it expired"),
        ("403 X", "the server refuses it (HTTP 403)"),
        ("404 X", "the server has no such room (HTTP 404)"),
        ("429 X", "the server limits requests (HTTP 429)"),
        ("502 X", "a proxy answers HTTP 502 in place of the LiveKit server"),
        ("418 X", "the server answers HTTP 418"),
        ("307 X\r\nLocation: https://zq@b.example/zq", "redirects to wss://b.example; set room.url to that"),
    ),
)
def test_a_refused_token_is_reported_without_the_responses_body(
    server: Server, room: str, config: Path, answer: str, said: str
) -> None:
    async def scenario() -> None:
        variables = daemons.with_ready_token(server, room, config.parent / "token") | _SOUND
        token = (config.parent / "token").read_text()
        refused = f"{answer}\r\nContent-Length: {len(token)}\r\n\r\n{token}"
        async with reverse_proxy({"": OK, "/rtc/validate": refused}) as proxy:
            rows = await _check(config, variables | {"DEVICE_ROOM__URL": f"ws://127.0.0.1:{proxy.port}"})
            assert rows["token"].startswith("✗")
            assert said in rows["token"]
            assert token not in "".join(rows.values())
            assert "zq" not in rows["token"]

    asyncio.run(scenario())
