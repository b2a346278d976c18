"""Gives sound to the SDK: exact blocks of 10 ms, taken at once, without echo and noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit import rtc

from device.media.block import SAMPLE_BYTES, SAMPLE_RATE
from device.tracks.sound_feed import sound_feed

if TYPE_CHECKING:
    from device.tracks.echo import Echo, EchoCanceller

_FRAME_SAMPLES = SAMPLE_RATE // 100  # what AudioProcessingModule takes, and AudioSource without a queue


class SoundInlet:
    """An AudioSource without a queue. It never waits: whether the SDK takes the sound is seen in its statistics.

    echo: what the device's speaker plays, if it has one
    """

    def __init__(self, channels: int, *, echo: Echo | None = None) -> None:
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
        self._echo = echo
        self._canceller: EchoCanceller | None = None

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

    def give(self, samples: bytes | memoryview, *, ends_at_us: int) -> None:
        """Give sound of any length; less than 10 ms waits for the next call. `ends_at_us`: when it was captured."""
        self._rest += samples
        while len(self._rest) >= self._size:
            captured_at_us = ends_at_us - len(self._rest) // self._sample_bytes * 1_000_000 // SAMPLE_RATE
            self._next()
            if self._echo is not None and self._echo.ducks(captured_at_us):
                self._samples[:] = bytes(self._size)
            else:
                if self._echo is not None:
                    self._cancel(self._echo, captured_at_us)
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

    def _cancel(self, echo: Echo, captured_at_us: int) -> None:
        played = echo.at(captured_at_us)
        if self._canceller is None:
            if played is None:
                return
            from device.tracks.echo import EchoCanceller

            self._canceller = EchoCanceller(self._frame)
        self._canceller.cancel(played, lead_us=echo.lead_us)

    def _next(self) -> None:
        self._samples[:] = self._rest[: self._size]
        del self._rest[: self._size]
