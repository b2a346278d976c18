"""The audio track: blocks of PCM from the worker into the room."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from livekit import rtc

from device.workers.jobs import SAMPLE_RATE, MicrophoneJob

if TYPE_CHECKING:
    from device.workers.wire import Message

log = structlog.get_logger()

# The SDK's queue is latency that nobody asked for: enough for a late wake-up of this process, no more.
_QUEUE_MS = 100
_FULL_S = 0.040
_PENDING_BLOCKS = 4
_BYTES_PER_SAMPLE = 2
_PROCESSING_MS = 10  # AudioProcessingModule takes exactly this


class AudioTrack:
    """One track for the life of the process; it is published anew in every Room."""

    def __init__(self, job: MicrophoneJob, *, processing: bool) -> None:
        self._source = rtc.AudioSource(SAMPLE_RATE, job.channels, queue_size_ms=_QUEUE_MS)
        self.track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        self._channels = job.channels
        self._pending: asyncio.Queue[Message] = asyncio.Queue(_PENDING_BLOCKS)
        self._processor = (
            rtc.AudioProcessingModule(noise_suppression=True, high_pass_filter=True, auto_gain_control=True)
            if processing
            else None
        )
        self.dropped = 0

    def options(self) -> rtc.TrackPublishOptions:
        return rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, stream="device")

    def begin(self) -> None:
        """Get ready for a new publication: nothing that was captured before belongs into it."""
        self._source.clear_queue()

    def deliver(self, block: Message) -> None:
        """Take one block; the oldest one that still waits makes room for it."""
        if self._pending.full():
            self._pending.get_nowait()
            self.dropped += 1
        self._pending.put_nowait(block)

    async def run(self) -> None:
        """Feed blocks to the SDK, one at a time, until cancelled."""
        while True:
            block = await self._pending.get()
            if self._source.queued_duration > _FULL_S:
                self.dropped += 1
                continue
            await self._source.capture_frame(self._processed(block.payload))

    async def aclose(self) -> None:
        await self._source.aclose()

    def _processed(self, samples: bytes) -> rtc.AudioFrame:
        if self._processor is None:
            return self._frame(samples)
        size = SAMPLE_RATE * _PROCESSING_MS // 1000 * self._channels * _BYTES_PER_SAMPLE
        processed = bytearray()
        for start in range(0, len(samples), size):
            frame = self._frame(bytearray(samples[start : start + size]))
            if len(frame.data.cast("B")) == size:
                self._processor.process_stream(frame)
            processed += frame.data.cast("B")
        return self._frame(processed)

    def _frame(self, samples: bytes | bytearray) -> rtc.AudioFrame:
        return rtc.AudioFrame(
            data=samples,
            sample_rate=SAMPLE_RATE,
            num_channels=self._channels,
            samples_per_channel=len(samples) // (self._channels * _BYTES_PER_SAMPLE),
        )
