"""A subscriber that counts: every picture's number and capture time, the SDK's statistics, and one picture."""

import asyncio
import time
from collections import deque
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from livekit import rtc
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto import ffi_pb2, video_frame_pb2

from tests.support.livekit_server import Server
from tests.support.watcher import joined

PERIODS_LOST = 1.5  # between two capture times; above it a picture is missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A decoded picture: its number, its capture time, and the time of decoding."""

    number: int
    captured_s: float
    came_s: float
    size: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """The analysis of a series of pictures. `lost`: missing numbers; `left_out`: gaps in the capture times."""

    pictures: int
    seconds: float
    captured_fps: float
    shown_fps: float
    lost: int
    left_out: int
    latency_s: float
    increasing: bool


class _EveryPicture(rtc.VideoStream):
    """By default the SDK keeps one picture and drops it if this process is late, which would count as loss."""

    def _create_owned_stream(self) -> Any:
        assert self._track
        request = ffi_pb2.FfiRequest()
        wanted = request.new_video_stream
        wanted.track_handle = self._track._ffi_handle.handle
        wanted.type = video_frame_pb2.VideoStreamType.VIDEO_STREAM_NATIVE
        wanted.format = rtc.VideoBufferType.I420
        wanted.normalize_stride = True
        wanted.queue_size_frames = 0
        return FfiClient.instance.request(request).new_video_stream.stream


class Meter:
    """Watches one participant's camera."""

    def __init__(self, room: rtc.Room) -> None:
        self.room = room
        self.shown: list[Shown] = []
        self.latest: deque[npt.NDArray[np.uint8]] = deque(maxlen=3)
        self._track: rtc.Track | None = None
        self._tasks: set[asyncio.Task[None]] = set()  # one for each publication
        self._changed = asyncio.Event()
        room.on("track_subscribed", self._on_track)

    async def until(self, count: int, *, within_s: float) -> None:
        """Wait until this many pictures have arrived."""
        async with asyncio.timeout(within_s):
            while len(self.shown) < count:
                self._changed.clear()
                await self._changed.wait()

    async def statistics(self) -> dict[str, Any]:
        """Return the statistics of WebRTC's receiver for the video stream."""
        assert self._track
        for each in await self._track.get_stats():
            if each.WhichOneof("stats") == "inbound_rtp":
                rtp, stream = each.inbound_rtp.received, each.inbound_rtp.inbound
                return {
                    "packets_lost": rtp.packets_lost,
                    "frames_received": stream.frames_received,
                    "frames_decoded": stream.frames_decoded,
                    "frames_dropped": stream.frames_dropped,
                    "freezes": stream.freeze_count,
                    "key_frames": stream.key_frames_decoded,
                }
        raise AssertionError("no statistics of an inbound stream")

    def rates(self, *, fps: int, since: int = 0) -> Rates:
        """Analyse the shown pictures from number `since` to the latest."""
        part = self.shown[since:]
        first, last = part[0], part[-1]
        steps = [(later.captured_s - earlier.captured_s) for earlier, later in pairwise(part)]
        numbers = [later.number - earlier.number for earlier, later in pairwise(part)]
        return Rates(
            pictures=len(part),
            seconds=last.captured_s - first.captured_s,
            captured_fps=(last.number - first.number) / (last.captured_s - first.captured_s),
            shown_fps=(len(part) - 1) / (last.came_s - first.came_s),
            lost=sum(step - 1 for step in numbers if step > 1),
            left_out=sum(
                step > PERIODS_LOST / fps and number == 1 for step, number in zip(steps, numbers, strict=True)
            ),
            latency_s=float(np.median([each.came_s - each.captured_s for each in part])),
            increasing=all(step > 0 for step in steps) and all(number > 0 for number in numbers),
        )

    def _on_track(self, track: rtc.Track, *_: object) -> None:
        if isinstance(track, rtc.RemoteVideoTrack):
            self._track = track
            self._tasks.add(asyncio.create_task(self._watch(track)))

    async def _watch(self, track: rtc.Track) -> None:
        stream = _EveryPicture(track)
        try:
            async for event in stream:
                frame, metadata = event.frame, event.metadata
                if metadata is None or not metadata.user_timestamp:  # inserted by the SDK before the first picture
                    continue
                self.shown.append(
                    Shown(
                        number=metadata.frame_id,
                        captured_s=metadata.user_timestamp / 1e6,
                        came_s=time.time(),
                        size=(frame.width, frame.height),
                    )
                )
                self.latest.append(np.frombuffer(frame.data, np.uint8))
                self._changed.set()
        finally:
            await stream.aclose()

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()


def metering(server: Server, room: str) -> AbstractAsyncContextManager[Meter]:
    """Join as a viewer."""
    return joined(Meter(rtc.Room()), server, room, identity="meter")
