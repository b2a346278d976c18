"""Each token source, from the configuration to the picture; and insufficient tokens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from livekit import api

from tests.support import daemon as daemons
from tests.support.token_endpoint import KEY, token_endpoint
from tests.support.watcher import watching

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.daemon import Daemon
    from tests.support.livekit_server import Server

_NO_KEY = {"DEVICE_CREDENTIALS__API_KEY": "", "DEVICE_CREDENTIALS__API_SECRET": "", "DEVICE_ROOM__IDENTITY": ""}


def _token(server: Server, room: str, *, can_publish: bool = True) -> str:
    grants = api.VideoGrants(room_join=True, room=room, can_publish=can_publish, can_update_own_metadata=True)
    return api.AccessToken(server.api_key, server.api_secret).with_identity("device").with_grants(grants).to_jwt()


def _assert_no_secret(daemon: Daemon, *secrets: str) -> None:
    text = "\n".join(daemon.text)
    assert not [secret for secret in secrets if secret in text]


async def _see_picture(server: Server, room: str, identity: str) -> None:
    async with watching(server, room) as watcher:
        await watcher.until(lambda: len(watcher.pictures) > 10, within_s=30, what="the picture")
        assert identity in watcher.room.remote_participants


def test_ready_token(server: Server, room: str, config: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(_token(server, room) + "\n")
    variables = daemons.environment(server, room, **_NO_KEY, DEVICE_CREDENTIALS__TOKEN_FILE="token")
    with daemons.running(config, variables) as daemon:
        asyncio.run(_see_picture(server, room, "device"))
        _assert_no_secret(daemon, (tmp_path / "token").read_text().strip())


def test_a_token_file_that_is_written_later_is_used_and_its_expiry_logged(
    server: Server, room: str, config: Path, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    variables = daemons.environment(
        server, room, **_NO_KEY, DEVICE_CREDENTIALS__TOKEN_FILE="token", DEVICE_RECONNECT__MAX_S="1"
    )
    with daemons.running(config, variables) as daemon:
        for content, said in ((None, "cannot be read: No such file"), ("", "is empty")):
            if content is not None:
                path.write_text(content)
            line = daemon.until(
                lambda line, said=said: line["event"] == "room.waiting" and said in str(line["why"]),  # type: ignore[misc]
                within_s=20,
            )
            assert str(path) in line["why"]
        path.write_text(_token(server, room))
        path.chmod(0o600)
        daemon.event("room.state", new="live")
        _assert_no_secret(daemon, path.read_text())
    with daemons.running(config, variables) as daemon:
        line = daemon.event("token.expiry", level="warning")
        assert line["what"].startswith("the token expires in ")
        assert line["file"] == str(path)


def test_ready_token_from_systemd(server: Server, room: str, config: Path, tmp_path: Path) -> None:
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "token").write_text(_token(server, room))
    variables = daemons.environment(server, room, **_NO_KEY, CREDENTIALS_DIRECTORY=str(tmp_path / "credentials"))
    with daemons.running(config, variables):
        asyncio.run(_see_picture(server, room, "device"))


def test_key_and_secret_from_systemd(server: Server, room: str, config: Path, tmp_path: Path) -> None:
    (tmp_path / "api_key").write_text(server.api_key)
    (tmp_path / "api_secret").write_text(server.api_secret)
    variables = daemons.environment(server, room, **_NO_KEY, CREDENTIALS_DIRECTORY=str(tmp_path))
    variables["DEVICE_ROOM__IDENTITY"] = "by-key"
    with daemons.running(config, variables) as daemon:
        asyncio.run(_see_picture(server, room, "by-key"))
        _assert_no_secret(daemon, server.api_secret)


def test_endpoint(server: Server, room: str, config: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with token_endpoint(server) as endpoint:
            variables = daemons.environment(
                server,
                room,
                **_NO_KEY,
                DEVICE_ROOM__DISPLAY_NAME="Yard",
                DEVICE_CREDENTIALS__ENDPOINT=endpoint.url,
                DEVICE_CREDENTIALS__ENDPOINT_HEADERS_FILE="headers",
            )
            with daemons.running(config, variables) as daemon:
                live = await asyncio.to_thread(daemon.event, "room.state", new="live")
                await _see_picture(server, room, live["identity"])
                assert endpoint.requests[0]["room_name"] == room
                assert endpoint.requests[0]["participant_name"] == "Yard"
                _assert_no_secret(daemon, KEY)

    (tmp_path / "headers").write_text(f"# for the endpoint\nX-Api-Key: {KEY}\n")
    asyncio.run(scenario())


def test_an_endpoint_that_refuses_is_called_again_and_named(server: Server, room: str, config: Path) -> None:
    async def scenario() -> None:
        async with token_endpoint(server) as endpoint:
            variables = daemons.environment(server, room, **_NO_KEY, DEVICE_CREDENTIALS__ENDPOINT=endpoint.url)
            with daemons.running(config, variables) as daemon:
                line = await asyncio.to_thread(daemon.event, "room.waiting")
                assert "HTTP 401" in line["why"]
                assert "endpoint_headers_file" in line["why"]
                await asyncio.to_thread(daemon.event, "room.waiting", since=len(daemon.lines))
                assert endpoint.refused >= 2
                assert daemon.process.poll() is None

    asyncio.run(scenario())


def test_token_replaced_by_one_that_may_publish(server: Server, room: str, config: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(_token(server, room, can_publish=False))
    variables = daemons.environment(server, room, **_NO_KEY, DEVICE_CREDENTIALS__TOKEN_FILE="token")
    with daemons.running(config, variables) as daemon:
        assert "canPublish" in daemon.event("room.waiting")["why"]
        (tmp_path / "token").write_text(_token(server, room))
        daemon.event("device.state", new="live", within_s=60)


def test_token_that_contradicts_the_file_is_an_error_with_both(
    server: Server, room: str, config: Path, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(_token(server, room))
    variables = daemons.environment(server, "elsewhere", **_NO_KEY, DEVICE_CREDENTIALS__TOKEN_FILE="token")
    with daemons.running(config, variables) as daemon:
        assert daemon.process.wait(20) == 78
        daemon.close()
        assert "'elsewhere'" in daemon.text[0]
        assert repr(room) in daemon.text[0]
        assert not daemon.text[1:]
