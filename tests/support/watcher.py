"""A subscriber that decodes pictures and sound and measures them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from livekit import rtc

from device.sources import strip
from tests.support.tokens import token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.livekit_server import Server

_KEEP_PICTURES, _KEEP_SOUND, _KEEP_LUMA = 3000, 6000, 8
_SMALLEST_LINES = 64
_QUEUED = 60  # by default the SDK drops a picture when two are there


@dataclass(slots=True, kw_only=True)
class Seen:
    """One decoded picture; `at` is the monotonic and `epoch_s` the wall-clock time of decoding, in seconds."""

    luma: npt.NDArray[np.uint8] | None
    brightness: float
    reading: strip.Reading | None
    width: int
    height: int
    at: float
    epoch_s: float
    user_timestamp_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """10 ms of decoded sound, samples of shape (n, channels), and the time of decoding."""

    samples: npt.NDArray[np.int16]
    at: float
    epoch_s: float


class Watcher:
    """Collects events, pictures and sound of the room; `until` waits for a condition."""

    def __init__(self, room: rtc.Room) -> None:
        self.room = room
        self.pictures: deque[Seen] = deque(maxlen=_KEEP_PICTURES)
        self.sound: deque[Heard] = deque(maxlen=_KEEP_SOUND)
        self.events: list[tuple[str, float]] = []
        self.failure: BaseException | None = None
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        room.on("track_subscribed", self._on_track)
        room.on("participant_disconnected", lambda who: self._note(f"gone:{who.identity}"))
        room.on("participant_connected", lambda who: self._note(f"came:{who.identity}"))
        room.on("participant_attributes_changed", lambda _changed, who: self._note(f"attributes:{who.identity}"))

    async def until_received(self, *, within_s: float) -> None:
        """Wait for 20 more pictures and half a second more of sound."""
        pictures, sound = len(self.pictures), len(self.sound)
        await self.until(
            lambda: len(self.pictures) > pictures + 20 and len(self.sound) > sound + 50,
            within_s=within_s,
            what="picture and sound",
        )

    async def until(self, holds: Callable[[], object], *, within_s: float, what: str) -> float:
        """Wait for a condition; return the monotonic time at which it was met."""
        give_up_at = time.monotonic() + within_s
        while not holds():
            if self.failure:
                raise self.failure
            left_s = give_up_at - time.monotonic()
            if left_s <= 0:
                raise AssertionError(
                    f"not within {within_s} s: {what} "
                    f"({len(self.pictures)} pictures, {len(self.sound)} blocks, events {self.events[-5:]})"
                )
            self._changed.clear()
            try:
                async with asyncio.timeout(left_s):
                    await self._changed.wait()
            except TimeoutError:
                continue
        return time.monotonic()

    def attributes(self, identity: str) -> dict[str, str]:
        who = self.room.remote_participants.get(identity)
        return who.attributes if who else {}

    def _note(self, event: str) -> None:
        self.events.append((event, time.monotonic()))
        self._changed.set()

    def _on_track(
        self, track: rtc.RemoteTrack, _publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant
    ) -> None:
        self._note(f"track:{who.identity}:{track.name}")
        collect = self._see(track) if isinstance(track, rtc.RemoteVideoTrack) else self._hear(track)
        task = asyncio.create_task(collect)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.failure = error
            self._changed.set()

    async def _see(self, track: rtc.RemoteVideoTrack) -> None:
        stream = rtc.VideoStream(track, format=rtc.VideoBufferType.I420, capacity=_QUEUED)
        try:
            async for event in stream:
                now, epoch_s = time.monotonic(), time.time()
                frame = event.frame
                if frame.height < _SMALLEST_LINES:  # inserted by the SDK before the first real picture
                    continue
                size = frame.width * frame.height
                luma = np.frombuffer(frame.data, np.uint8, size).reshape(frame.height, frame.width)
                self.pictures.append(
                    Seen(
                        luma=luma.copy(),
                        brightness=_flash_brightness(luma),
                        reading=strip.read(luma),
                        width=frame.width,
                        height=frame.height,
                        at=now,
                        epoch_s=epoch_s,
                        user_timestamp_us=event.metadata.user_timestamp if event.metadata else 0,
                    )
                )
                if len(self.pictures) > _KEEP_LUMA:
                    self.pictures[-_KEEP_LUMA - 1].luma = None
                self._changed.set()
        finally:
            await stream.aclose()

    async def _hear(self, track: rtc.RemoteTrack) -> None:
        stream = rtc.AudioStream(track, sample_rate=48_000, num_channels=2)
        try:
            async for event in stream:
                samples = np.frombuffer(event.frame.data, np.int16).reshape(-1, 2).copy()
                self.sound.append(Heard(samples=samples, at=time.monotonic(), epoch_s=time.time()))
                self._changed.set()
        finally:
            await stream.aclose()

    async def aclose(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()


def _flash_brightness(luma: npt.NDArray[np.uint8]) -> float:
    from device.sources.pattern import flash_brightness  # imports PyAV

    return flash_brightness(luma)


def dominant_hz(blocks: list[Heard]) -> float:
    """Return the loudest frequency of some consecutive blocks."""
    samples = np.concatenate([block.samples[:, 0] for block in blocks]).astype(np.float64)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * 48_000 / len(samples))


class Viewer(Protocol):
    """Creates a subscriber for a room."""

    room: rtc.Room

    async def aclose(self) -> None: ...


V = TypeVar("V", bound=Viewer)


@asynccontextmanager
async def joined(viewer: V, server: Server, room: str, *, identity: str) -> AsyncIterator[V]:
    """Join a room as a viewer; close it when the context ends."""
    await viewer.room.connect(server.url, token(server, room, identity=identity))
    try:
        yield viewer
    finally:
        await viewer.aclose()


def watching(server: Server, room: str, *, identity: str = "watcher") -> AbstractAsyncContextManager[Watcher]:
    """Join a room as a viewer that decodes all tracks."""
    return joined(Watcher(rtc.Room()), server, room, identity=identity)
