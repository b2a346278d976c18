"""A viewer in a process of its own, which a test can kill. Run it with URL and token; it does not use `device`."""

from __future__ import annotations

import asyncio
import sys

from livekit import rtc


async def _main(url: str, token: str) -> None:
    room, seen = rtc.Room(), asyncio.Event()
    tasks = []

    async def see(track: rtc.RemoteTrack) -> None:
        async for _ in rtc.VideoStream(track):
            seen.set()

    def on_track(track: rtc.RemoteTrack, *_more: object) -> None:
        if isinstance(track, rtc.RemoteVideoTrack):
            tasks.append(asyncio.create_task(see(track)))

    room.on("track_subscribed", on_track)
    await room.connect(url, token)
    await seen.wait()
    print("picture", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
