"""A subscriber of several tracks: what each of them delivers, by its name."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from livekit import rtc

from tests.support.tokens import token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.livekit_server import Server


@dataclass
class Received:
    """What a subscriber decodes, by the name of the track: sizes of pictures, numbers of blocks, and their times."""

    sizes: dict[str, Counter[tuple[int, int]]] = field(default_factory=dict)
    blocks: Counter[str] = field(default_factory=Counter)
    moments: dict[str, list[float]] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def on_track(self, track: rtc.RemoteTrack, *_: object) -> None:
        self.tasks.add(asyncio.create_task(self._decode(track)))

    def longest_gap_s(self, name: str, *, since: float) -> float:
        """Return the longest time without a picture or sound of a track, from a monotonic time until now."""
        moments = [since, *(at for at in self.moments[name] if at > since), time.monotonic()]
        return max(later - sooner for sooner, later in pairwise(moments))

    async def _decode(self, track: rtc.RemoteTrack) -> None:
        moments = self.moments.setdefault(track.name, [])
        if isinstance(track, rtc.RemoteVideoTrack):
            async with aclosing(rtc.VideoStream(track)) as pictures:
                async for each in pictures:
                    moments.append(time.monotonic())
                    self.sizes.setdefault(track.name, Counter())[each.frame.width, each.frame.height] += 1
        else:
            async with aclosing(rtc.AudioStream(track)) as blocks:
                async for _ in blocks:
                    moments.append(time.monotonic())
                    self.blocks[track.name] += 1


@asynccontextmanager
async def receiving(server: Server, room: str) -> AsyncIterator[tuple[rtc.Room, Received]]:
    """Subscribe to all tracks of a room."""
    received, subscriber = Received(), rtc.Room()
    subscriber.on("track_subscribed", received.on_track)
    await subscriber.connect(server.url, token(server, room), rtc.RoomOptions(auto_subscribe=True))
    try:
        yield subscriber, received
    finally:
        for task in received.tasks:
            task.cancel()
        await subscriber.disconnect()
