"""Gives sound to the SDK: exact blocks of 10 ms, taken at once, and noise suppression before that."""

from __future__ import annotations

from livekit import rtc

from device.media.block import SAMPLE_BYTES, SAMPLE_RATE
from device.tracks.sound_feed import sound_feed

_FRAME_SAMPLES = SAMPLE_RATE // 100  # what AudioProcessingModule takes, and AudioSource without a queue


class SoundInlet:
    """An AudioSource without a queue. It never waits: whether the SDK takes the sound is seen in its statistics."""

    def __init__(self, channels: int) -> None:
        # A queue would have a thread with a timer of 10 ms, and add its depth to the latency.
        self._source = rtc.AudioSource(SAMPLE_RATE, channels, queue_size_ms=0)
        self._sample_bytes = channels * SAMPLE_BYTES
        self._size = _FRAME_SAMPLES * self._sample_bytes
        # One frame for all: the library has copied its samples when a call returns (livekit-ffi:
        # FfiAudioSource::capture_frame). A view of them, because their address must not change.
        samples = bytearray(self._size)
        self._samples = memoryview(samples)
        self._frame = rtc.AudioFrame(samples, SAMPLE_RATE, channels, _FRAME_SAMPLES)
        self._feed = sound_feed(self._source, self._frame)
        self._rest = bytearray()
        self._processor: rtc.AudioProcessingModule | None = None

    def create_track(self, name: str) -> rtc.LocalAudioTrack:
        return rtc.LocalAudioTrack.create_audio_track(name, self._source)

    def process(self, *, enabled: bool) -> None:
        """Suppress noise and control the gain from now on, or not."""
        if enabled != (self._processor is not None):
            self._processor = (
                rtc.AudioProcessingModule(noise_suppression=True, high_pass_filter=True, auto_gain_control=True)
                if enabled
                else None
            )

    def give(self, samples: bytes | memoryview) -> None:
        """Give sound of any length; less than 10 ms waits for the next call."""
        self._rest += samples
        while len(self._rest) >= self._size:
            self._next()
            if self._processor is not None:
                self._processor.process_stream(self._frame)
            self._feed.capture()

    def give_silence(self, count: int) -> None:
        """Give so many samples of silence, which is not processed."""
        self._rest += bytes(count * self._sample_bytes)
        while len(self._rest) >= self._size:
            self._next()
            self._feed.capture()

    def forget(self) -> None:
        """Drop what waits for the next call."""
        self._rest.clear()

    async def aclose(self) -> None:
        await self._source.aclose()

    def _next(self) -> None:
        self._samples[:] = self._rest[: self._size]
        del self._rest[: self._size]
