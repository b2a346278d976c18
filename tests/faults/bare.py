"""A program on the bare SDK for comparison: it joins, publishes a picture and silence, and repeats when the Room ends.

Run it with URL, key, secret and room; it does not use `device`.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import sys

from livekit import api, rtc

_RETRY_S = 0.2


async def _main(url: str, key: str, secret: str, room_name: str) -> None:
    video, audio = rtc.VideoSource(320, 180), rtc.AudioSource(48_000, 1)
    tracks = (
        rtc.LocalVideoTrack.create_video_track("camera", video),
        rtc.LocalAudioTrack.create_audio_track("microphone", audio),
    )
    video.capture_frame(rtc.VideoFrame(320, 180, rtc.VideoBufferType.I420, bytes(320 * 180 * 3 // 2)))
    while True:
        room, ended = rtc.Room(), asyncio.Event()
        room.on("disconnected", lambda _reason, ended=ended: ended.set())
        grants = api.VideoGrants(room_join=True, room=room_name, can_subscribe=False)
        token = api.AccessToken(key, secret).with_identity("bare").with_grants(grants)
        with contextlib.suppress(rtc.ConnectError):
            await room.connect(url, token.with_ttl(datetime.timedelta(minutes=10)).to_jwt())
            print("joined", flush=True)
            publishing = asyncio.create_task(_publish(room, tracks))  # hangs if the room ends at this time
            await ended.wait()
            publishing.cancel()
        await room.disconnect()
        await asyncio.sleep(_RETRY_S)


async def _publish(room: rtc.Room, tracks: tuple[rtc.LocalVideoTrack, rtc.LocalAudioTrack]) -> None:
    for track in tracks:
        with contextlib.suppress(rtc.participant.PublishTrackError):
            await room.local_participant.publish_track(track, rtc.TrackPublishOptions())


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
