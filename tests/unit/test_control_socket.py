"""The control socket: where it is, who may connect, and what a bad peer can do."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path
from typing import Any, cast

import pytest

from device.control import peer, place, socket_server
from device.control.caller import Caller, CallerKind
from device.control.peer import Peer
from device.control.registry import Call, name_of
from device.control.results import Done


class Performing:
    """Performs nothing, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def perform(self, call: Call[Any], *, caller: Caller) -> Done:
        assert caller.kind is CallerKind.LOCAL
        assert str(caller).startswith(f"uid {os.getuid()}, pid ")
        self.asked.append(name_of(call))
        return Done(text="done")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    return tmp_path / "control"


async def said(path: Path, *lines: bytes) -> list[bytes]:
    """Send lines at once; return what comes back until the daemon closes."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"".join(lines))
    writer.write_eof()
    answers = (await reader.read()).splitlines()
    writer.close()
    return answers


def serving(performing: Performing) -> Any:
    return socket_server.control_socket(lambda: cast("Any", performing))


def test_calls_are_answered_in_turn_and_errors_end_nothing(path: Path) -> None:
    async def scenario() -> None:
        performing = Performing()
        async with serving(performing):
            assert stat.S_IMODE(path.stat().st_mode) == 0o660  # noqa: ASYNC240
            good = b'{"operation": "rejoin"}\n'
            assert await said(path, good, b"nonsense\n", b'{"operation": "no"}\n', good) == [
                b'{"result": {"text": "done"}}',
                b'{"error": "the call is not JSON in UTF-8"}',
                next(iter(await said(path, b'{"operation": "no"}\n'))),
                b'{"result": {"text": "done"}}',
            ]
            assert performing.asked == ["rejoin", "rejoin"]
        assert not path.exists()  # noqa: ASYNC240

    asyncio.run(scenario())


def test_a_line_that_is_too_long_ends_the_connection(path: Path) -> None:
    async def scenario() -> None:
        async with serving(Performing()):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"x" * (200 << 10))
            assert await reader.readline() == b'{"error": "a call has at most 64 KiB"}\n'
            writer.close()
            assert await said(path, b'{"operation": "rejoin"}\n') == [b'{"result": {"text": "done"}}']

    asyncio.run(scenario())


def test_too_many_connections_are_refused_until_one_ends(path: Path) -> None:
    async def scenario() -> None:
        async with serving(Performing()):
            open_ones = [await asyncio.open_unix_connection(path) for _ in range(8)]
            assert await said(path) == [b'{"error": "too many commands at once; try again"}']
            for _, writer in open_ones:
                writer.close()
            for _ in range(100):
                if await said(path, b'{"operation": "rejoin"}\n') == [b'{"result": {"text": "done"}}']:
                    return
                await asyncio.sleep(0.02)
            raise AssertionError("ended connections still count")

    asyncio.run(scenario())


def test_others_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Peer, "may_control", property(lambda _self: False))

    async def scenario() -> None:
        performing = Performing()
        async with serving(performing):
            assert await said(path, b'{"operation": "rejoin"}\n') == [
                b'{"error": "only root and the group livekit-device may control the device"}'
            ]
            assert performing.asked == []

    asyncio.run(scenario())


def test_who_may_control(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "group_id", lambda: 777)
    monkeypatch.setattr(os, "geteuid", lambda: 500)
    none: frozenset[int] = frozenset()
    assert Peer(pid=1, uid=0, groups=none).may_control
    assert Peer(pid=1, uid=500, groups=none).may_control
    assert Peer(pid=1, uid=1000, groups=frozenset({10, 777})).may_control
    assert not Peer(pid=1, uid=1000, groups=frozenset({10})).may_control
    monkeypatch.setattr(peer, "group_id", lambda: None)
    assert not Peer(pid=1, uid=1000, groups=frozenset({10})).may_control


def test_the_kernel_tells_who_a_peer_is() -> None:
    one, other = socket.socketpair()
    with one, other:
        found = Peer.of(one)
    assert (found.pid, found.uid) == (os.getpid(), os.getuid())
    assert found.groups == {os.getgid(), *os.getgroups()}


def test_the_first_place_that_is_named_wins(tmp_path: Path) -> None:
    runtime, user = str(tmp_path / "runtime"), str(tmp_path / "user")
    service = Path("/run/livekit-device/control")
    assert place.places({}) == [service]
    assert place.places({"XDG_RUNTIME_DIR": user}) == [tmp_path / "user/livekit-device/control", service]
    variables = {"XDG_RUNTIME_DIR": user, "RUNTIME_DIRECTORY": f"{runtime}:/other"}
    assert place.places(variables) == [tmp_path / "runtime/control"]


def test_the_socket_of_a_killed_daemon_is_replaced_and_that_of_a_running_one_stays(path: Path) -> None:
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    first = socket_server._listener(path)
    with first, pytest.raises(OSError, match="Address already in use"):
        socket_server._listener(path)


def test_a_file_in_its_place_is_left_alone(path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(FileExistsError):
        socket_server._listener(path)
    path.unlink()
    path.symlink_to("/nowhere")
    with pytest.raises(FileExistsError):
        socket_server._listener(path)


def test_without_a_place_the_daemon_runs_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(socket_server, "places", lambda: [tmp_path / "file" / "control"])

    async def scenario() -> None:
        async with serving(Performing()):
            pass

    asyncio.run(scenario())
