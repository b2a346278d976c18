"""A subscriber in a process of its own, which records what arrives, keeps some of it, and computes no figures.

It uses one JSON object per line: the first on its standard input has the room, later ones are commands; its standard
output has events. In a job's `publishes`, "nothing" means that the publisher's arrival counts as the first picture, and
"camera" that pictures are counted by what the publisher says about them, because they have no number drawn into them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from livekit import rtc

from device.sources import strip
from tests.bench.material import HEIGHT

if TYPE_CHECKING:
    from collections.abc import Coroutine

KEEP_EVERY = 10
_RATE = 48_000
_QUEUED = 60  # by default the SDK drops a picture when two are there


@dataclass(slots=True)
class Watched:
    """What one viewer of the room has received; times in microseconds since the epoch unless named otherwise."""

    publishes: str
    room: rtc.Room = field(default_factory=rtc.Room)
    pictures: list[tuple[int, int, int, int]] = field(default_factory=list)
    lumas: dict[int, npt.NDArray[np.uint8]] = field(default_factory=dict)
    sound: list[tuple[float, npt.NDArray[np.int16]]] = field(default_factory=list)
    tracks: dict[str, rtc.RemoteTrack] = field(default_factory=dict)  # "picture" and "sound"
    subscribed_at: float = 0.0  # monotonic, seconds
    first: asyncio.Event = field(default_factory=asyncio.Event)
    first_at: float = 0.0  # monotonic, seconds
    keep: bool = False
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.room.on("track_subscribed", self._on_track)
        if self.publishes == "nothing":
            self.room.on("participant_connected", lambda _: self._begin(time.monotonic()))

    def _begin(self, at: float) -> None:
        if not self.first.is_set():
            self.first_at = at
            self.first.set()

    def _on_track(
        self, track: rtc.RemoteTrack, _publication: rtc.RemoteTrackPublication, _who: rtc.RemoteParticipant
    ) -> None:
        collect: Coroutine[Any, Any, None]
        if isinstance(track, rtc.RemoteVideoTrack):
            self.tracks["picture"], self.subscribed_at = track, time.monotonic()
            collect = self._see(track)
        else:
            self.tracks["sound"] = track
            collect = self._hear(track)
        task = asyncio.create_task(collect)
        self.tasks.add(task)
        task.add_done_callback(_ended)

    async def _see(self, track: rtc.RemoteVideoTrack) -> None:
        async with aclosing(rtc.VideoStream(track, format=rtc.VideoBufferType.I420, capacity=_QUEUED)) as stream:
            async for event in stream:
                self._note(event)

    def _note(self, event: rtc.VideoFrameEvent) -> None:
        at, epoch_us = time.monotonic(), time.time_ns() // 1000
        frame = event.frame
        luma = np.frombuffer(frame.data, np.uint8, frame.width * frame.height).reshape(frame.height, frame.width)
        captured_at_us = event.metadata.user_timestamp if event.metadata else 0
        if self.publishes == "camera":
            number = event.metadata.frame_id if event.metadata and captured_at_us else None
        else:
            reading = strip.read(luma)
            number = reading.number if reading else None
        if number is None:  # not from the source: black before its first picture, or a slate
            return
        self.pictures.append((number, epoch_us, captured_at_us, frame.height))
        if self.keep and self.publishes == "pictures" and number % KEEP_EVERY == 0 and frame.height == HEIGHT:
            self.lumas[number] = luma.copy()
        self._begin(at)

    async def _hear(self, track: rtc.RemoteTrack) -> None:
        async with aclosing(rtc.AudioStream(track, sample_rate=_RATE, num_channels=1)) as stream:
            async for event in stream:
                self.sound.append((time.time(), np.frombuffer(event.frame.data, np.int16).copy()))

    async def received(self) -> dict[str, int]:
        """Return the bytes of both tracks received so far, and how many samples of sound were made up."""
        found = {"picture": 0, "sound": 0, "concealed": 0}
        for kind, track in self.tracks.items():
            for each in await track.get_stats():
                if each.WhichOneof("stats") == "inbound_rtp":
                    inbound = each.inbound_rtp.inbound
                    found[kind] += inbound.bytes_received
                    if kind == "sound":  # without comfort noise, which is meant to be made up
                        found["concealed"] += inbound.concealed_samples - inbound.silent_concealed_samples
        return found

    async def aclose(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.room.disconnect()


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        raise SystemExit(f"a stream ended: {error}")


async def _serve(job: dict[str, str]) -> None:
    watched = Watched(publishes=job["publishes"])
    await watched.room.connect(job["url"], job["token"])
    _say(event="joined")
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    await watched.first.wait()
    _say(event="first", at=watched.first_at)
    began, before = 0, dict[str, int]()
    while line := await lines.readline():
        match json.loads(line)["do"]:
            case "begin":
                began, before = time.time_ns() // 1000, await watched.received()
                watched.keep = True
                _say(event="begun")
            case "end":
                ended, after = time.time_ns() // 1000, await watched.received()
                received = {name: count - before[name] for name, count in after.items()}
                watched.keep = False
                np.savez(job["keep"], numbers=np.array([*watched.lumas]), lumas=np.array([*watched.lumas.values()]))
                _save_sound(job["sound"], watched.sound)
                _say(event="ended", began_us=began, ended_us=ended, received=received, pictures=watched.pictures)
            case "late":
                _say(event="late", **await _late(job))
    await watched.aclose()


async def _late(job: dict[str, str]) -> dict[str, float]:
    """Join again as a late viewer; return the seconds until a picture is decoded."""
    late = Watched(publishes=job["publishes"])
    joins_at = time.monotonic()
    await late.room.connect(job["url"], job["late_token"])
    await late.first.wait()
    await late.aclose()
    return {"from_join_s": late.first_at - joins_at, "from_subscription_s": late.first_at - late.subscribed_at}


def _save_sound(path: str, sound: list[tuple[float, npt.NDArray[np.int16]]]) -> None:
    np.savez(path, at=np.array([at for at, _ in sound]), samples=np.array([samples for _, samples in sound]))


def _say(**what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(sys.stdin.readline())))
