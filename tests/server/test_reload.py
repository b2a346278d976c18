"""A reload of the real daemon: what a viewer sees of each class of change, and what an invalid file changes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tests.support import daemon as daemons
from tests.support.connect_proxy import connect_proxy
from tests.support.watcher import Watcher, watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.livekit_server import Server

_FIRST_S = 30.0
# On a machine that is shared; docs/reliability.md has the figures of a quiet one.
_OF_RESTART_S, _OTHER_MEDIUM_S, _NO_GAP_S = 4.0, 0.5, 0.5
_TONE = '[microphone]\nsource = "tone"\n'
_SMALL = "[camera]\nwidth = 320\nheight = 240\nfps = 15\n"


@dataclass(slots=True, kw_only=True)
class Managed:
    """The daemon under a service manager, which this test is, and a viewer."""

    daemon: daemons.Daemon
    watcher: Watcher
    config: Path
    manager: socket.socket
    room: str
    messages: list[str] = field(default_factory=list)

    async def reload(self, text: str, *, event: str = "config.reloaded") -> dict[str, Any]:
        """Write a configuration and send SIGHUP; return the daemon's log line about it, after READY=1."""
        _write(self.config, self.room, text)
        since, before = len(self.daemon.lines), len(self.messages)
        self.daemon.process.send_signal(signal.SIGHUP)
        line = await asyncio.to_thread(
            self.daemon.until, lambda each: each.get("event") == event, within_s=20, since=since
        )
        async with asyncio.timeout(10):
            while not (begun := self._reloads(before)) or "READY=1" not in self.messages[begun[0] :]:
                self.messages.append((await asyncio.get_running_loop().sock_recv(self.manager, 4096)).decode())
        assert len(begun) == 1
        return line

    def _reloads(self, since: int) -> list[int]:
        begin = "RELOADING=1\nMONOTONIC_USEC="
        return [at for at, text in enumerate(self.messages) if at >= since and text.startswith(begin)]

    def problem(self, key: str, since: int) -> None:
        """Wait for the line about a problem with a key."""
        self.daemon.until(lambda line: f": {key}: " in line.get("problem", ""), within_s=5, since=since)

    def gaps(self) -> tuple[float, float]:
        """Return the longest times without a picture and without sound, in seconds."""
        times = [each.at for each in self.watcher.pictures], [each.at for each in self.watcher.sound]
        video_s, sound_s = (max(later - earlier for earlier, later in pairwise(each)) for each in times)
        return video_s, sound_s

    async def measure_from_here(self) -> None:
        self.watcher.pictures.clear()
        self.watcher.sound.clear()
        await self.watcher.until_received(within_s=10)


def _write(config: Path, room: str, text: str) -> None:
    config.write_text(f'[room]\nname = "{room}"\n{text}')


@contextlib.asynccontextmanager
async def managed(server: Server, room: str, config: Path, *, code: int = 0) -> AsyncIterator[Managed]:
    address = str(config.with_name("notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.setblocking(False)  # noqa: FBT003
        variables = daemons.environment(server, room, NOTIFY_SOCKET=address)
        for name in ("DEVICE_ROOM__NAME", "DEVICE_MICROPHONE__SOURCE"):  # they are in the file
            del variables[name]
        _write(config, room, f"{_SMALL}{_TONE}")
        async with watching(server, room) as watcher:
            with daemons.running(config, variables) as daemon:
                await watcher.until_received(within_s=_FIRST_S)
                yield Managed(daemon=daemon, watcher=watcher, config=config, manager=manager, room=room)
                if not code:
                    daemon.process.terminate()
                assert await asyncio.to_thread(daemon.process.wait, 10) == code


def subscriptions(watcher: Watcher) -> list[str]:
    return [event for event, _ in watcher.events if event.startswith("track:")]


def test_live_changes_and_worker_restarts_keep_the_tracks(server: Server, room: str, config: Path) -> None:
    async def scenario() -> None:
        async with managed(server, room, config) as device:
            await device.measure_from_here()
            bitrates = "bitrate_max_bps = 300_000\nbitrate_min_bps = 40_000\n"
            await device.reload(f"{_SMALL}{bitrates}{_TONE}gain_db = -20\n[watch]\ncamera_stall_s = 3\n")
            await device.watcher.until_received(within_s=10)
            assert max(device.gaps()) < _NO_GAP_S

            await device.measure_from_here()
            larger = _SMALL.replace("320", "640").replace("240", "480").replace("15", "30")
            line = await device.reload(f"{larger}{bitrates}{_TONE}")
            assert (line["workers"], line["rejoin"]) == ("camera", False)
            await device.watcher.until(
                lambda: device.watcher.pictures[-1].width == 640, within_s=15, what="the new size"
            )
            await device.watcher.until_received(within_s=10)
            video_s, sound_s = device.gaps()
            assert video_s < _OF_RESTART_S
            assert sound_s < _OTHER_MEDIUM_S
            assert len(subscriptions(device.watcher)) == 2
            assert not [line for line in device.daemon.lines if line["priority"] <= 4]

    asyncio.run(scenario())


def test_a_rejoin_says_why_and_an_invalid_file_changes_nothing(server: Server, room: str, config: Path) -> None:
    async def scenario() -> None:
        async with managed(server, room, config) as device:
            why = "the configuration changed: room.display_name"
            assert (await device.reload(f'display_name = "Porch"\n{_SMALL}{_TONE}'))["rejoin"] is True
            await device.watcher.until(
                lambda: why in device.watcher.attributes("device").get("device.room", ""),
                within_s=15,
                what="why it was away",
            )
            await device.watcher.until(
                lambda: device.watcher.room.remote_participants["device"].name == "Porch", within_s=5, what="the name"
            )
            await device.measure_from_here()
            since = len(device.daemon.lines)
            await device.reload(
                f'display_name = "Porch"\n{_SMALL}{_TONE}channels = 3\n[log]\nlevel = "loud"\n',
                event="config.refused",
            )
            for key in ("log.level", "microphone.channels"):
                await asyncio.to_thread(device.problem, key, since)
            assert [each for each in device.messages if "configuration refused at" in each]
            await device.watcher.until_received(within_s=10)
            assert max(device.gaps()) < _NO_GAP_S

    asyncio.run(scenario())


def test_a_change_that_needs_a_new_process_ends_it_for_the_service_manager(
    server: Server, room: str, config: Path
) -> None:
    async def scenario() -> None:
        async with managed(server, room, config, code=75) as device:
            await device.reload(f'{_SMALL}[microphone]\nsource = "off"\n', event="config.restarting")
            await device.watcher.until(
                lambda: "gone:device" in [event for event, _ in device.watcher.events], within_s=5, what="goodbye"
            )

    asyncio.run(scenario())


def test_another_proxy_is_used_by_the_rejoin_and_given_up_by_the_next(server: Server, room: str, config: Path) -> None:
    async def scenario() -> None:
        async with managed(server, room, config) as device, connect_proxy(credentials="user:zqpassword") as proxy:
            asked = 0
            for table in (f'[network]\nproxy = "http://user:zqpassword@127.0.0.1:{proxy.port}"\n', ""):
                since = len(device.daemon.lines)
                line = await device.reload(f"{_SMALL}{_TONE}{table}")
                assert (line["changed"], line["rejoin"]) == ("network.proxy", True)
                await asyncio.to_thread(device.daemon.event, "room.state", new="live", within_s=20, since=since)
                # With a proxy: the probe, and the SDK at least once.
                assert len(proxy.asked) >= 2 if table else len(proxy.asked) == asked
                asked = len(proxy.asked)
            assert proxy.refused == 0
            assert "zqpassword" not in "".join(device.daemon.text)

    asyncio.run(scenario())
