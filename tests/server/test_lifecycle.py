"""How the daemon ends, and what it recovers from."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING

from aiohttp import web
from livekit import api

from tests.support import daemon as daemons
from tests.support.children import alive, living_descendants
from tests.support.livekit_server import Server, livekit_server
from tests.support.watcher import watching

if TYPE_CHECKING:
    from pathlib import Path

_FIRST_S = 30.0


def test_sigterm_leaves_the_room_and_no_process(server: Server, room: str, config: Path) -> None:
    async def scenario() -> None:
        async with watching(server, room) as watcher:
            with daemons.running(config, daemons.environment(server, room)) as daemon:
                await watcher.until_received(within_s=_FIRST_S)
                children = living_descendants(daemon.pid)
                assert len(children) == 2
                code, took_s = await asyncio.to_thread(daemon.stop)
                assert code == 0
                assert took_s < 4  # measured: 0.4 s
                # A device that does not leave the room would stay in it for 15 s.
                await watcher.until(
                    lambda: any(event == "gone:device" for event, _ in watcher.events), within_s=4, what="goodbye"
                )
                assert not [pid for pid in children if alive(pid)]

    asyncio.run(scenario())


def test_ctrl_c_reaches_the_whole_group_and_ends_in_order(server: Server, room: str, config: Path) -> None:
    async def scenario() -> None:
        async with watching(server, room) as watcher:
            with daemons.running(config, daemons.environment(server, room)) as daemon:
                await watcher.until_received(within_s=_FIRST_S)
                children = living_descendants(daemon.pid)
                os.killpg(daemon.pid, signal.SIGINT)
                assert await asyncio.to_thread(daemon.process.wait, 10) == 0
                assert not [pid for pid in children if alive(pid)]
                assert [line["event"] for line in daemon.lines][-2:] == ["daemon.stopping", "daemon.stopped"]
                assert not [line for line in daemon.lines if line["priority"] <= 4]

    asyncio.run(scenario())


def test_sigterm_before_the_room_is_reached(config: Path, server: Server, room: str) -> None:
    variables = daemons.environment(server, room, DEVICE_ROOM__URL="ws://127.0.0.1:9")
    with daemons.running(config, variables) as daemon:
        assert "http://127.0.0.1:9/ cannot be reached" in daemon.event("room.waiting")["why"]
        code, took_s = daemon.stop()
        assert code == 0
        assert took_s < 10  # measured: 0.3 s


def test_sigterm_while_a_join_is_under_way(config: Path, server: Server, room: str) -> None:
    async def scenario() -> None:
        asked = asyncio.Event()

        async def answer(request: web.BaseRequest) -> web.Response:
            if request.path != "/":  # a probe is answered, a join is not
                asked.set()
                await asyncio.Event().wait()
            return web.Response(text="OK")

        runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"ws://127.0.0.1:{runner.addresses[0][1]}"
            with daemons.running(config, daemons.environment(server, room, DEVICE_ROOM__URL=url)) as daemon:
                async with asyncio.timeout(20):
                    await asked.wait()
                code, took_s = await asyncio.to_thread(daemon.stop)
                assert code == 0
                assert took_s < 10  # measured: 0.9 s, including 0.5 s for the current join
        finally:
            await runner.cleanup()

    asyncio.run(scenario())


def test_sigkill_of_the_daemon_ends_the_workers(server: Server, room: str, config: Path) -> None:
    with daemons.running(config, daemons.environment(server, room)) as daemon:
        daemon.event("worker.state", worker="camera", new="live")
        daemon.event("worker.state", worker="microphone", new="live")
        children = living_descendants(daemon.pid)
        daemon.process.kill()
        daemon.process.wait()
        give_up_at = time.monotonic() + 5
        while any(alive(pid) for pid in children) and time.monotonic() < give_up_at:
            time.sleep(0.01)
        assert not [pid for pid in children if alive(pid)]


def test_killed_and_stopped_workers_are_restarted_while_the_session_continues(
    server: Server, room: str, config: Path
) -> None:
    async def scenario() -> None:
        async with watching(server, room) as watcher:
            with daemons.running(config, daemons.environment(server, room)) as daemon:
                await watcher.until_received(within_s=_FIRST_S)
                for name, number in (
                    ("camera", signal.SIGKILL),
                    ("camera", signal.SIGSTOP),
                    ("microphone", signal.SIGKILL),
                    ("microphone", signal.SIGSTOP),
                ):
                    since = len(daemon.lines)
                    os.kill(daemon.worker(name), number)
                    line = await asyncio.to_thread(daemon.event, "worker.restarting", worker=name, since=since)
                    assert ("SIGKILL" if number is signal.SIGKILL else "nothing came") in line["why"]
                    await asyncio.to_thread(daemon.event, "worker.state", worker=name, new="live", since=since)
                    await watcher.until_received(within_s=_FIRST_S)
                assert not [event for event, _ in watcher.events if event.startswith("gone")]
                assert len([event for event, _ in watcher.events if event.startswith("track")]) == 2

    asyncio.run(scenario())


def test_server_restarted_under_the_daemon(room: str, config: Path) -> None:
    async def scenario(own: Server) -> None:
        variables = daemons.environment(own, room)
        with daemons.running(config, variables) as daemon:
            async with watching(own, room) as watcher:
                await watcher.until_received(within_s=_FIRST_S)
            own.kill()
            await asyncio.to_thread(daemon.event, "room.sdk_state", state="reconnecting", within_s=60)
            own.start()
            async with watching(own, room, identity="watcher-after") as watcher:
                await watcher.until(lambda: len(watcher.pictures) > 20, within_s=90, what="the picture again")
            assert daemon.process.poll() is None

    with livekit_server(prefer=(0, 0)) as own:
        asyncio.run(scenario(own))


def test_after_removal_by_an_operator_the_device_waits_for_minutes_and_reports_it(
    server: Server, room: str, config: Path
) -> None:
    """The duration and the rejoin are tested in virtual time."""

    async def scenario() -> None:
        async with watching(server, room) as watcher:
            with daemons.running(config, daemons.environment(server, room)) as daemon:
                await watcher.until_received(within_s=_FIRST_S)
                async with api.LiveKitAPI(server.url, server.api_key, server.api_secret) as operator:
                    await operator.room.remove_participant(api.RoomParticipantIdentity(room=room, identity="device"))
                line = await asyncio.to_thread(daemon.event, "room.left")
                assert line["reason"] == "PARTICIPANT_REMOVED"
                waiting = await asyncio.to_thread(daemon.event, "room.waiting")
                assert waiting["why"] == "this device was removed from the room"
                assert waiting["delay_s"] == 300
                await asyncio.sleep(5)
                assert daemon.process.poll() is None
                assert "device" not in watcher.room.remote_participants
                assert len([line for line in daemon.lines if line["event"] == "room.waiting"]) == 1

    asyncio.run(scenario())
