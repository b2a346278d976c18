"""The pattern of the Python SDK's examples: raw pictures into a VideoSource, sound in blocks of 10 ms.

It uses the examples' defaults (VP8, simulcast, an audio queue of one second), except for the bitrate, which is the same
in every row. Arguments: a .y4m file, a .wav file, a file that gets `number epoch_us` for each picture, bits per second.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
import wave

import numpy as np
from livekit import rtc

WIDTH, HEIGHT, FPS = 1280, 720, 30
RATE, BLOCK = 48_000, 480


async def main() -> None:
    film, sound, times, bitrate_bps = sys.argv[1:]
    room = rtc.Room()
    await room.connect(os.environ["LIVEKIT_URL"], os.environ["LIVEKIT_TOKEN"])

    video = rtc.VideoSource(WIDTH, HEIGHT)
    camera = rtc.LocalVideoTrack.create_video_track("camera", video)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA)
    options.video_encoding.max_bitrate, options.video_encoding.max_framerate = int(bitrate_bps), FPS
    await room.local_participant.publish_track(camera, options)

    audio = rtc.AudioSource(RATE, 1)
    microphone = rtc.LocalAudioTrack.create_audio_track("microphone", audio)
    await room.local_participant.publish_track(
        microphone, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    )
    await asyncio.gather(publish_pictures(video, film, times), publish_sound(audio, sound))


async def publish_pictures(source: rtc.VideoSource, film: str, times: str) -> None:
    size = WIDTH * HEIGHT * 3 // 2
    with open(film, "rb") as pictures, open(times, "wb", buffering=0) as log:  # noqa: ASYNC230, PTH123  # as examples do
        pictures.readline()
        beginning = pictures.tell()
        due = time.monotonic()
        for number in itertools.count():
            if not pictures.readline():
                pictures.seek(beginning)
                pictures.readline()
            log.write(f"{number % 300} {time.time_ns() // 1000}\n".encode())
            source.capture_frame(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.I420, pictures.read(size)))
            due += 1 / FPS
            await asyncio.sleep(due - time.monotonic())


async def publish_sound(source: rtc.AudioSource, sound: str) -> None:
    frame = rtc.AudioFrame.create(RATE, 1, BLOCK)
    samples = np.frombuffer(frame.data, np.int16)
    with wave.open(sound, "rb") as blocks:
        while True:
            block = blocks.readframes(BLOCK)
            if not block:
                blocks.rewind()
                continue
            np.copyto(samples, np.frombuffer(block, np.int16))
            await source.capture_frame(frame)


asyncio.run(main())
