"""A subscriber that decodes, and whose own reconnection does not affect the figures.

After any problem it probes the server every 100 ms, and joins with a new Room and a new identity; it never waits for
the SDK's own reconnection.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.faults.figures import NEVER
from tests.faults.observed import Observer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from tests.faults.moments import Moment
    from tests.support.livekit_server import Server

_PROBE_EVERY_S, _PROBE_S = 0.1, 1.0
_JOIN_S, _LEAVE_S = 20.0, 3.0
_ODD_AFTER_S = 0.5  # without pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """When it was decoded (monotonic, s) and captured (wall clock of the device, us; 0 if unknown).

    `number` counts from a worker's start; None means a slate, or no test picture. `lines` is its height.
    """

    at: float
    captured_at_us: int
    number: int | None
    lines: int


class Viewer:
    """The media that one viewer receives, across all Rooms that it uses."""

    def __init__(self, servers: Sequence[Server], room: str, *, name: str = "viewer") -> None:
        self._servers = servers
        self._room = room
        self._name = name
        self._numbers = itertools.count(1)
        self._changed = asyncio.Event()
        self._observer: Observer | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self.pictures: list[Picture] = []
        self.sound: list[float] = []
        self.noise: list[float] = []  # blocks of `sound` that are not the tone
        self.attributes_seen: list[tuple[float, dict[str, str]]] = []  # each change, with its time
        self.events: list[tuple[str, float]] = []
        self.joined_after_s: list[float] = []  # since the server answered: the viewer's own part of each figure

    def saw(self, captured_at_us: int, *, number: int | None, lines: int) -> None:
        self.pictures.append(Picture(at=time.monotonic(), captured_at_us=captured_at_us, number=number, lines=lines))
        self._changed.set()

    def heard(self, *, noise: bool) -> None:
        self.sound.append(time.monotonic())
        if noise:
            self.noise.append(self.sound[-1])
        self._changed.set()

    def attributes_changed(self, attributes: dict[str, str]) -> None:
        self.attributes_seen.append((time.monotonic(), attributes))
        self._changed.set()

    def note(self, event: str) -> None:
        self.events.append((event, time.monotonic()))
        self._changed.set()

    def video_again_s(self, moment: Moment) -> float:
        """Return the seconds from a time to the first picture captured after it; infinite if there is none yet."""
        since = bisect_right(self.pictures, moment.at, key=lambda each: each.at)
        later = (self.pictures[index] for index in range(since, len(self.pictures)))
        live = (each for each in later if each.number is not None)
        return next((each.at - moment.at for each in live if each.captured_at_us >= moment.epoch_us), NEVER)

    def audio_again_s(self, at: float) -> float:
        """Return the seconds from a monotonic time to the next sound; infinite if there is none yet."""
        since = bisect_right(self.sound, at)
        return self.sound[since] - at if since < len(self.sound) else NEVER

    def attributes(self, identity: str = "device") -> dict[str, str]:
        """Return the attributes of a participant; empty if it is not in the room."""
        return self._observer.attributes(identity) if self._observer else {}

    async def until(self, holds: Callable[[], object], *, within_s: float) -> bool:
        """Wait for a condition; return whether it was met."""
        give_up_at = time.monotonic() + within_s
        while not holds():
            left_s = give_up_at - time.monotonic()
            if left_s <= 0:
                return False
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._changed.wait()
        return True

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            while True:
                server, answered_at = await self._first_that_answers()
                self._observer = Observer(self, server, self._room, identity=f"{self._name}-{next(self._numbers)}")
                if await self._joins(self._observer, server):
                    self.joined_after_s.append(time.monotonic() - answered_at)
                    self.note("viewer:joined")
                    await self._until_odd(self._observer, server)
                    self.note("viewer:left")
                self._abandon()
        finally:
            self._abandon()
            if self._leaving:
                await asyncio.wait(self._leaving, timeout=_LEAVE_S)

    async def _first_that_answers(self) -> tuple[Server, float]:
        while True:
            for server in self._servers:
                if await answers(server):
                    return server, time.monotonic()
            await asyncio.sleep(_PROBE_EVERY_S)

    async def _joins(self, observer: Observer, server: Server) -> bool:
        """Wait for a join as long as the server answers, because it may be slow on a busy machine."""
        observer.begin()
        give_up_at = time.monotonic() + _JOIN_S
        while (joined := await observer.joined(within_s=_PROBE_S)) is None:
            if time.monotonic() > give_up_at or not await answers(server):
                return False
        return joined

    async def _until_odd(self, observer: Observer, server: Server) -> None:
        began = time.monotonic()
        while observer.connected:
            # Missing pictures may be the device's fault or the server's: only the latter requires a new Room.
            last = max(began, self.pictures[-1].at if self.pictures else began)
            if time.monotonic() - last > _ODD_AFTER_S and not await answers(server):
                return
            await asyncio.sleep(_PROBE_EVERY_S)

    def _abandon(self) -> None:
        if self._observer:
            leaving = asyncio.create_task(self._observer.aclose())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
            self._observer = None


async def answers(server: Server) -> bool:
    """Return whether the server answers `GET /` in time with 200."""
    host, _, port = server.url.partition("://")[2].partition(":")
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_PROBE_S):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    return False


@contextlib.asynccontextmanager
async def viewing(servers: Sequence[Server], room: str, *, name: str = "viewer") -> AsyncIterator[Viewer]:
    """Watch a room while the context lasts; names of viewers in one room differ."""
    viewer = Viewer(servers, room, name=name)
    watching = asyncio.create_task(viewer.run())
    try:
        yield viewer
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
