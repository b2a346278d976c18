"""A participant that talks: publishes a microphone whose sound is made here, to the millisecond."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import numpy as np
from livekit import rtc

from tests.support.tokens import token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.livekit_server import Server

_RATE, _FRAME = 48_000, 480
_FRAME_S = _FRAME / _RATE
_AMPLITUDE, _CLICK = 3000, 25_000
_CLICK_S = 0.004


class Talker:
    """Talks with a steady tone, unless it is silent, and clicks when it is asked to."""

    def __init__(self, room: rtc.Room, tone_hz: float) -> None:
        self.room = room
        self.subscribed = asyncio.Event()
        self.silent = False
        self.clicks: list[float] = []  # when they were spoken, in monotonic seconds
        self._clicking = 0.0  # seconds between two
        self._tone_hz = tone_hz
        self._source = rtc.AudioSource(_RATE, 1, queue_size_ms=0)
        self.track = rtc.LocalAudioTrack.create_audio_track("voice", self._source)
        room.on("local_track_subscribed", lambda _track: self.subscribed.set())

    async def publish(self, *, source: rtc.TrackSource.ValueType = rtc.TrackSource.SOURCE_MICROPHONE) -> None:
        options = rtc.TrackPublishOptions(source=source, dtx=True)
        await self.room.local_participant.publish_track(self.track, options)

    def click(self, *, every_s: float) -> None:
        """Click from now on; 0: no more."""
        self._clicking = every_s

    async def call(self, payload: str, *, within_s: float = 10.0) -> str:
        """Call `device.talk`. Raises RpcError."""
        return await self.room.local_participant.perform_rpc(
            destination_identity="device", method="device.talk", payload=payload, response_timeout=within_s
        )

    async def talk(self) -> None:
        """Speak until cancelled: each 10 ms, those that have just passed."""
        began_at, number, clicked_at = time.monotonic(), 0, 0.0
        while True:
            spoken_at = began_at + number * _FRAME_S
            await asyncio.sleep(max(0.0, spoken_at + _FRAME_S - time.monotonic()))
            times = (number * _FRAME + np.arange(_FRAME)) / _RATE
            samples = 0 if self.silent else _AMPLITUDE * np.sin(2 * np.pi * self._tone_hz * times)
            samples = np.zeros(_FRAME) + samples
            if self._clicking and spoken_at - clicked_at >= self._clicking:
                clicked_at = spoken_at
                self.clicks.append(spoken_at)
                length = round(_CLICK_S * _RATE)
                samples[:length] = _CLICK * np.sign(np.sin(2 * np.pi * 1000 * times[:length]))
            frame = rtc.AudioFrame(samples.astype(np.int16).tobytes(), _RATE, 1, _FRAME)
            await self._source.capture_frame(frame)
            number += 1


@asynccontextmanager
async def talking(
    server: Server, room: str, *, identity: str, tone_hz: float = 440.0, publish: bool = True
) -> AsyncIterator[Talker]:
    """Join as a talker who speaks all the time; its microphone is published unless that is left to the test."""
    participant = rtc.Room()
    await participant.connect(
        server.url, token(server, room, identity=identity, publish=True), rtc.RoomOptions(auto_subscribe=False)
    )
    talker = Talker(participant, tone_hz)
    speaking = asyncio.create_task(talker.talk())
    try:
        if publish:
            await talker.publish()
        yield talker
    finally:
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)
        await participant.disconnect()
