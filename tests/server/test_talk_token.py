"""What a real server lets a participant do that has a talk token."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from livekit import rtc
from livekit.rtc.participant import PublishDataError, PublishTrackError

from device.telemetry.attributes import Attributes
from device.tokens.join_token import TokenRequest
from device.tokens.minting import ApiKey
from device.viewer.talkers import talk_token
from tests.support.tokens import token

if TYPE_CHECKING:
    from tests.support.livekit_server import Server

WITHIN_S = 30


def made(server: Server, room: str) -> str:
    wanted = TokenRequest(
        urls=(server.url,),
        room=room,
        identity="",
        derived_identity="device",
        display_name="",
        attributes=Attributes(),
    )
    return talk_token(ApiKey(wanted=wanted, key=server.api_key, secret=server.api_secret), "talk-anna")


def test_it_publishes_a_microphone_and_neither_a_camera_nor_data_nor_attributes(server: Server, room: str) -> None:
    async def main() -> None:
        talker, listener = rtc.Room(), rtc.Room()
        published: list[rtc.TrackSource.ValueType] = []
        heard, data, left = asyncio.Event(), asyncio.Event(), asyncio.Event()

        def note(publication: rtc.RemoteTrackPublication, _who: rtc.RemoteParticipant) -> None:
            published.append(publication.source)
            heard.set()

        listener.on("track_published", note)
        listener.on("data_received", lambda *_: data.set())
        listener.on("participant_attributes_changed", lambda *_: data.set())
        listener.on("participant_disconnected", lambda *_: left.set())
        await listener.connect(server.url, token(server, room), rtc.RoomOptions(auto_subscribe=False))
        await talker.connect(server.url, made(server, room))
        try:
            async with asyncio.timeout(WITHIN_S):
                microphone = rtc.LocalAudioTrack.create_audio_track("talk", rtc.AudioSource(48_000, 1))
                options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
                await talker.local_participant.publish_track(microphone, options)
                await heard.wait()
                camera = rtc.LocalVideoTrack.create_video_track("camera", rtc.VideoSource(64, 64))
                options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA)
                with pytest.raises(PublishTrackError):  # the server does not answer
                    await talker.local_participant.publish_track(camera, options)
                await talker.local_participant.set_attributes({"device.talker": "anna"})
                with contextlib.suppress(PublishDataError):
                    await talker.local_participant.publish_data(b"hello", reliable=True)
                await talker.disconnect()
                await left.wait()
            assert published == [rtc.TrackSource.SOURCE_MICROPHONE]
            assert not data.is_set()
        finally:
            await talker.disconnect()
            await listener.disconnect()

    asyncio.run(main())
