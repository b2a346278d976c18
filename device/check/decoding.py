"""Decodes the tracks of one participant, to see what a viewer gets."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field

from livekit import rtc

SAMPLE_RATE = 48_000


@dataclass(slots=True)
class Decoded:
    """What came out of a track's decoder: `count` pictures, or samples of sound."""

    count: int = 0
    width: int = 0
    height: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)


async def subscribe(room: rtc.Room, identity: str) -> None:
    """Subscribe to what one participant publishes, now and later; never to another participant's."""
    while True:
        if who := room.remote_participants.get(identity):
            for publication in who.track_publications.values():
                if not publication.subscribed:
                    publication.set_subscribed(True)
        await asyncio.sleep(0.1)


async def decode(track: rtc.RemoteTrack, decoded: Decoded) -> None:
    if isinstance(track, rtc.RemoteVideoTrack):
        async with aclosing(rtc.VideoStream(track)) as pictures:
            async for picture in pictures:
                decoded.count += 1
                decoded.width, decoded.height = picture.frame.width, picture.frame.height
                decoded.arrived.set()
    else:
        async with aclosing(rtc.AudioStream(track, sample_rate=SAMPLE_RATE, num_channels=1)) as blocks:
            async for sound in blocks:
                decoded.count += sound.frame.samples_per_channel
                decoded.arrived.set()
