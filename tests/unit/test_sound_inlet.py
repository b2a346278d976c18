"""Sound into the SDK, below its public surface and by it: exact frames of 10 ms, whatever the blocks are."""

from __future__ import annotations

import asyncio
import ctypes
import random
from typing import TYPE_CHECKING, Any

import pytest
from livekit import rtc
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto.ffi_pb2 import FfiRequest, FfiResponse

from device import native_sdk
from device.native_sdk.audio import NativeSoundFeed
from device.tracks.sound_feed import PublicSoundFeed, sound_feed
from device.tracks.sound_inlet import SoundInlet

if TYPE_CHECKING:
    from collections.abc import Callable

_FRAME_BYTES = 960


class Recording:
    """Instead of the native library: keeps capture requests, and the samples that they point to."""

    def __init__(self, others: Callable[[FfiClient, FfiRequest], FfiResponse]) -> None:
        self.requests: list[Any] = []
        self.samples = b""
        self._others = others

    def call(self, request: bytes) -> bytes:
        capture = FfiRequest.FromString(request).capture_audio_frame
        self.requests.append(capture)
        self.samples += ctypes.string_at(
            capture.buffer.data_ptr, 2 * capture.buffer.num_channels * capture.buffer.samples_per_channel
        )
        response = FfiResponse()
        response.capture_audio_frame.async_id = 1
        return response.SerializeToString()

    def request(self, client: FfiClient, request: FfiRequest) -> FfiResponse:
        if request.WhichOneof("message") != "capture_audio_frame":
            return self._others(client, request)
        return FfiResponse.FromString(self.call(request.SerializeToString()))


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Recording:
    library = native_sdk.library()
    assert library is not None
    found = Recording(FfiClient.request)

    def request(client: FfiClient, message: FfiRequest) -> FfiResponse:  # a bound method would not get the client
        return found.request(client, message)

    monkeypatch.setattr(library, "call", found.call)
    monkeypatch.setattr(FfiClient, "request", request)
    return found


def test_both_ways_send_the_same_requests(recording: Recording) -> None:
    async def scenario() -> None:
        source, samples = rtc.AudioSource(48_000, 2, queue_size_ms=0), bytearray(1920)
        frame = rtc.AudioFrame(samples, 48_000, 2, 480)
        native = sound_feed(source, frame)
        assert isinstance(native, NativeSoundFeed)
        for feed in (native, PublicSoundFeed(source, frame)):
            for value in (1, 2):
                samples[:] = bytes([value]) * 1920
                feed.capture()
        await source.aclose()

    asyncio.run(scenario())
    assert {each.request_async_id for each in recording.requests[:2]} == {native_sdk.OWN_CAPTURE}
    for each in recording.requests:
        each.ClearField("request_async_id")
    first, *others = recording.requests
    assert all(each == first for each in others)
    assert recording.samples == 2 * (b"\1" * 1920 + b"\2" * 1920)


def test_blocks_of_any_length_become_exact_frames_without_loss(recording: Recording) -> None:
    chance = random.Random(1)
    given = b"".join(chance.randbytes(2 * chance.randrange(1, 1200)) for _ in range(50))

    async def scenario() -> None:
        inlet = SoundInlet(1)
        left = given
        while left:
            size = 2 * chance.randrange(1, 1200)
            inlet.give(memoryview(left)[:size], ends_at_us=0)
            left = left[size:]
        inlet.give_silence(480)
        await inlet.aclose()

    asyncio.run(scenario())
    assert recording.samples[: len(given)] == given
    assert not any(recording.samples[len(given) :])
    assert len(recording.samples) >= len(given)
    assert {each.buffer.samples_per_channel for each in recording.requests} == {480}


def test_sound_is_processed_and_silence_is_not(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class Inverting:
        def __init__(self, **options: bool) -> None:
            assert options == dict.fromkeys(("noise_suppression", "high_pass_filter", "auto_gain_control"), True)

        def process_stream(self, frame: rtc.AudioFrame) -> None:
            seen.append(len(frame.data))
            frame.data.cast("B")[:] = bytes(255 - each for each in frame.data.cast("B"))

    monkeypatch.setattr(rtc, "AudioProcessingModule", Inverting)

    async def scenario() -> None:
        inlet = SoundInlet(1)
        inlet.process(enabled=True)
        inlet.give(b"\1" * 2 * _FRAME_BYTES, ends_at_us=0)
        inlet.give_silence(480)
        inlet.process(enabled=False)
        inlet.give(b"\1" * _FRAME_BYTES, ends_at_us=0)
        await inlet.aclose()

    asyncio.run(scenario())
    assert seen == [480, 480]
    expected = b"\xfe" * 2 * _FRAME_BYTES + bytes(_FRAME_BYTES) + b"\1" * _FRAME_BYTES
    assert recording.samples == expected
