"""`livekit-device check`, with and without a server; and the viewer commands."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import jwt
from livekit import api

from tests.support import daemon as daemons
from tests.support.commands import command
from tests.support.watcher import watching

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.support.livekit_server import Server


def _rows(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Return each row's sign by its name."""
    return {line.split()[1]: line.split()[0] for line in done.stdout.splitlines()}


def _with_fixed_token(server: Server, room: str, folder: Path, *, can_publish: bool = True) -> dict[str, str]:
    """Return the environment of a daemon that has a ready token, in the file `token`, and no key."""
    variables = daemons.with_ready_token(server, room, folder / "token", can_publish=can_publish)
    return variables | {"DEVICE_CREDENTIALS__TOKEN_FILE": "token"}


def test_all_is_well(server: Server, room: str, config: Path) -> None:
    done = command("check", "--config", str(config), variables=daemons.environment(server, room))
    assert done.returncode == 0, done.stdout + done.stderr
    rows = _rows(done)
    assert "outside the service's sandbox" in done.stdout
    assert set(rows.values()) == {"✓"}
    assert {"file", "values", "credentials", "name", "server", "clock", "grants", "token", "room"} <= set(rows)
    assert {"picture", "sound"} <= set(rows)
    assert server.api_secret not in done.stdout + done.stderr


def test_check_decodes_the_running_device_instead_of_publishing(server: Server, room: str, config: Path) -> None:
    variables = daemons.environment(server, room)
    with daemons.running(config, variables) as daemon:
        daemon.event("device.state", new="live")
        done = command("check", "--config", str(config), variables=variables)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "the running device device" in done.stdout
        assert not [line for line in daemon.lines if line["event"] == "room.left"]


def test_fixed_token_never_evicts_the_runningcommand(server: Server, room: str, config: Path, tmp_path: Path) -> None:
    variables = _with_fixed_token(server, room, tmp_path)
    with daemons.running(config, variables) as daemon:
        daemon.event("device.state", new="live")
        done = command("check", "--config", str(config), variables=variables)
        assert done.returncode == 0, done.stdout + done.stderr
        rows = _rows(done)
        assert rows["token"] == "✓"
        assert rows["room"] == "-"
        assert "disconnect a running device" in done.stdout
        assert (tmp_path / "token").read_text() not in done.stdout + done.stderr
        assert not [line for line in daemon.lines if line["event"] == "room.left"]


def test_token_without_can_publish_is_caught(server: Server, room: str, config: Path, tmp_path: Path) -> None:
    variables = _with_fixed_token(server, room, tmp_path, can_publish=False)
    done = command("check", "--config", str(config), variables=variables)
    assert done.returncode == 1
    assert _rows(done)["grants"] == "✗"
    assert "canPublish" in done.stdout


def test_a_full_room_a_hidden_token_and_one_that_ends_soon_are_named(
    server: Server, room: str, config: Path, tmp_path: Path
) -> None:
    async def full() -> None:
        async with api.LiveKitAPI(server.url, server.api_key, server.api_secret) as operator:
            await operator.room.create_room(api.CreateRoomRequest(name=room, max_participants=1))
        async with watching(server, room):
            done = await asyncio.to_thread(
                command, "check", "--config", str(config), variables=daemons.environment(server, room)
            )
        assert done.returncode == 1
        assert "TaskGroup" not in done.stdout + done.stderr
        assert "the room is full (1 of 1 participants)" in done.stdout, done.stdout

    asyncio.run(full())

    async def one_place() -> None:
        async with api.LiveKitAPI(server.url, server.api_key, server.api_secret) as operator:
            await operator.room.create_room(api.CreateRoomRequest(name=f"{room}-small", max_participants=1))

    asyncio.run(one_place())
    done = command("check", "--config", str(config), variables=daemons.environment(server, f"{room}-small"))
    assert done.returncode == 1
    assert "the room is full (1 of 1 participants), including the participant of this check" in done.stdout
    video = {"roomJoin": True, "room": room, "canUpdateOwnMetadata": True}
    variables = _with_fixed_token(server, room, tmp_path)
    for grants, left_s, code, said in (
        ({"hidden": True}, 3 * 86_400, 1, "the token is hidden (video.hidden)"),
        ({}, 3600, 0, "the token expires in 60 minutes; replace it"),
        ({}, -3600, 1, "the token expired 60 minutes ago; replace it"),
    ):
        now_s = int(time.time())
        claims = {"iss": server.api_key, "sub": "device", "nbf": now_s - 9000, "exp": now_s + left_s + 5}
        token = jwt.encode(claims | {"video": video | grants}, server.api_secret)
        (tmp_path / "token").write_text(token)
        done = command("check", "--config", str(config), variables=variables)
        assert done.returncode == code, done.stdout + done.stderr
        assert said in done.stdout
        assert token not in done.stdout + done.stderr


def test_a_worker_that_fails_is_a_row_and_not_a_task_group(server: Server, room: str, config: Path) -> None:
    variables = daemons.environment(
        server, room, DEVICE_CAMERA__SOURCE="file", DEVICE_CAMERA__PATH=str(config), DEVICE_MICROPHONE__SOURCE="off"
    )
    done = command("check", "--config", str(config), variables=variables)
    assert done.returncode == 1
    assert not done.stderr
    assert "TaskGroup" not in done.stdout
    assert "Traceback" not in done.stdout
    assert all(line[0] in "✓✗-!" for line in done.stdout.splitlines()), done.stdout


def test_each_failure_has_its_row(server: Server, room: str, config: Path) -> None:
    for name, extra in {
        "tcp": {"DEVICE_ROOM__URL": "ws://127.0.0.1:9"},
        "name": {"DEVICE_ROOM__URL": "ws://does-not-exist.invalid"},
        "token": {"DEVICE_CREDENTIALS__API_SECRET": "of-another-project-entirely-0123456789"},
        "values": {"DEVICE_CAMERA__FPS": "0"},
        "credentials": {"DEVICE_CREDENTIALS__API_SECRET": ""},
        "picture": {"DEVICE_CAMERA__SOURCE": "file", "DEVICE_CAMERA__PATH": "not-there.mp4"},
    }.items():
        done = command("check", "--config", str(config), variables=daemons.environment(server, room, **extra))
        assert done.returncode == 1, done.stdout + done.stderr
        assert [row for row, sign in _rows(done).items() if sign == "✗"] == [name], done.stdout
        assert "Traceback" not in done.stdout + done.stderr


def test_viewer_token_subscribes_and_sends_data_only(server: Server, room: str, config: Path) -> None:
    variables = daemons.environment(server, room)
    done = command("viewer-token", "--config", str(config), "--ttl", "30m", variables=variables)
    token, url = done.stdout.split()
    claims = jwt.decode(token, options={"verify_signature": False})
    assert url == server.url
    assert abs(claims["exp"] - time.time() - 1800) < 10
    video = claims["video"]
    assert (video["canPublish"], video["canSubscribe"], video["canPublishData"]) == (False, True, True)

    async def join() -> None:
        async with watching(server, room) as watcher:
            await watcher.room.disconnect()
            from livekit import rtc

            viewer = rtc.Room()
            await viewer.connect(url, token)
            await viewer.disconnect()

    asyncio.run(join())


def test_viewer_needs_a_key(server: Server, room: str, config: Path, tmp_path: Path) -> None:
    variables = _with_fixed_token(server, room, tmp_path)
    done = command("viewer", "--config", str(config), variables=variables)
    assert done.returncode == 78
    assert "api_key" in done.stderr


def test_check_reports_the_reason_of_an_absent_source(server: Server, room: str, config: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"this is no film")
    variables = daemons.environment(server, room, DEVICE_CAMERA__SOURCE="file", DEVICE_CAMERA__PATH=str(film))
    done = command("check", "--config", str(config), variables=variables)
    [row] = [line for line in done.stdout.splitlines() if line.split()[1] == "picture"]
    assert row.startswith("✗")
    assert f"stalled: {film}: " in row
    # The SDK's decoder writes a line about a picture that lacks a packet, as happens on a busy machine.
    assert [line for line in done.stderr.splitlines() if not line.startswith("[h264 @ ")] == []
