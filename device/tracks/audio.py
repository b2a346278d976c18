"""The audio track: blocks of PCM from the worker into the room."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog
from livekit import rtc

from device.errors import NativePanicError
from device.ipc.messages import Done, SetPace
from device.media.block import SAMPLE_BYTES, SAMPLE_RATE
from device.tracks.depth_control import DepthControl

if TYPE_CHECKING:
    from collections.abc import Callable

    from device.ipc.messages import MicrophoneJob
    from device.ipc.registry import Request
    from device.media.block import Block

log = structlog.get_logger()

# The SDK's queue adds latency: long enough for a late wake-up of this process, no longer.
_QUEUE_MS = 100
_FULL_S = 0.080
# A sound server begins with a burst of buffered sound; in the first second of a worker it is dropped sooner.
_SETTLING_S, _SETTLING_FULL_S = 1.0, 0.040
# Silence that fills an empty queue before the next block, so that it survives a late wake-up.
_CUSHION_MS = 20
_PENDING_BLOCKS = 4
_DROP_LOG_INTERVAL_S = 10.0
_ACCEPTED_S = 10.0  # capture_frame() waits for space in the queue, 100 ms at most
_PROCESSING_MS = 10  # AudioProcessingModule takes exactly this


class AudioTrack:
    """One track for the life of the process; it is published again in every Room.

    `send` sends a request to the microphone's worker.
    """

    kind = "microphone"

    def __init__(
        self, name: str, job: MicrophoneJob, *, processing: bool, send: Callable[[Request[Done]], object]
    ) -> None:
        self._source = rtc.AudioSource(SAMPLE_RATE, job.channels, queue_size_ms=_QUEUE_MS)
        self.track = rtc.LocalAudioTrack.create_audio_track(name, self._source)
        self._log = log.bind(track=name)
        self._channels = job.channels
        self._cushion = bytes(SAMPLE_RATE * _CUSHION_MS // 1000 * job.channels * SAMPLE_BYTES)
        self._log_drops_at = 0.0
        self._settled_at = 0.0
        self._pending: asyncio.Queue[Block] = asyncio.Queue(_PENDING_BLOCKS)
        self._processor: rtc.AudioProcessingModule | None = None
        self.process(enabled=processing)
        self._depth = DepthControl()
        self._send = send
        self.dropped = 0
        self.fed = 0
        self.muted = False  # by the room
        self.wanted = asyncio.Event()

    def process(self, *, enabled: bool) -> None:
        """Suppress noise and control the gain from now on, or not."""
        if enabled != (self._processor is not None):
            self._processor = (
                rtc.AudioProcessingModule(noise_suppression=True, high_pass_filter=True, auto_gain_control=True)
                if enabled
                else None
            )

    def options(self) -> rtc.TrackPublishOptions:
        return rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, stream="device")

    def start_publication(self) -> None:
        """Get ready for a new publication: it gets nothing that was captured before."""
        self._source.clear_queue()

    def deliver(self, block: Block) -> None:
        """Take one block; the oldest one that still waits makes room for it."""
        if self._pending.full():
            self._pending.get_nowait()
            if self.fed:  # else the process is still starting
                self._drop()
        self._pending.put_nowait(block)

    def unmuted(self) -> None:
        """Forget what was captured while viewers received nothing."""
        self._source.clear_queue()

    def viewer_joined(self) -> None:
        """Do nothing: a new viewer hears sound at once."""

    def sampled(self, sent: int, *, fed: int, lost: float) -> None:
        """Do nothing: a lost packet of sound has no effect on the next ones."""

    def worker_started(self) -> None:
        """Send a new worker its settings."""
        self._settled_at = time.monotonic() + _SETTLING_S
        if self._depth.ppm:
            self._send(SetPace(ppm=self._depth.ppm))

    async def run(self) -> None:
        """Feed blocks to the SDK, one at a time, until cancelled."""
        while True:
            block = await self._pending.get()
            depth_s = self._source.queued_duration
            settling = time.monotonic() < self._settled_at
            limit_s = _SETTLING_FULL_S if settling else _FULL_S
            if depth_s > limit_s:  # after a stall
                self._drop()
                continue
            if not depth_s:
                await self._feed(self._frame(self._cushion))
            elif not settling and (ppm := self._depth.measured(depth_s, time.monotonic())) is not None:
                self._log.debug("microphone.pace", ppm=round(ppm))
                self._send(SetPace(ppm=ppm))
            await self._feed(self._processed(block.samples))
            self.fed += 1

    async def aclose(self) -> None:
        await self._source.aclose()

    async def _feed(self, frame: rtc.AudioFrame) -> None:
        try:
            async with asyncio.timeout(_ACCEPTED_S):
                await self._source.capture_frame(frame)
        except TimeoutError:
            raise NativePanicError(f"the SDK has not taken a block of sound for {_ACCEPTED_S:.0f} s") from None

    def _drop(self) -> None:
        self.dropped += 1
        now = time.monotonic()
        if now >= self._log_drops_at:
            self._log_drops_at = now + _DROP_LOG_INTERVAL_S
            self._log.info("microphone.dropped", blocks=self.dropped)

    def _processed(self, samples: bytes) -> rtc.AudioFrame:
        if self._processor is None:
            return self._frame(samples)
        size = SAMPLE_RATE * _PROCESSING_MS // 1000 * self._channels * SAMPLE_BYTES
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
            samples_per_channel=len(samples) // (self._channels * SAMPLE_BYTES),
        )
