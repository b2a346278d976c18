"""The audio track: blocks of PCM from the worker into the room."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog
from livekit import rtc

from device.clock import monotonic_us
from device.errors import NativePanicError
from device.ipc.messages import Done, SetPace
from device.media.block import SAMPLE_BYTES, SAMPLE_RATE
from device.tracks.intake import Intake
from device.tracks.pace_control import PaceControl
from device.tracks.sound_inlet import SoundInlet
from device.tracks.sound_timeline import PAUSE_US, SoundTimeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from device.ipc.messages import MicrophoneJob
    from device.ipc.registry import Request
    from device.media.block import Block
    from device.media.reception import Reception
    from device.tracks.echo import Echo

log = structlog.get_logger()

# Mono speech is transparent at this bitrate; packets add 8 kbit/s. Silence is not sent (DTX).
_OPUS_BPS = 40_000
# A sound server begins with a burst of buffered sound.
_SETTLING_S = 1.0
_QUIET = 300  # a peak of -40 dB: a cut of 10 ms is not heard
_DROP_LOG_INTERVAL_S = 10.0


class AudioTrack:
    """One track for the life of the process; it is published again in every Room.

    `send` sends a request to the microphone's worker. `redundancy`: each packet also has the previous one's sound.
    `echo`: what the device's speaker plays, if this microphone hears it.
    """

    kind = "microphone"

    def __init__(
        self,
        name: str,
        job: MicrophoneJob,
        *,
        processing: bool,
        redundancy: bool,
        send: Callable[[Request[Done]], object],
        echo: Echo | None = None,
    ) -> None:
        self._inlet = SoundInlet(job.channels, echo=echo)
        self._inlet.process(enabled=processing)
        self.track = self._inlet.create_track(name)
        self._log = log.bind(track=name)
        self._sample_bytes = job.channels * SAMPLE_BYTES
        self._redundancy = redundancy
        self._log_drops_at = 0.0
        self._settled_at = 0.0
        self._timeline: SoundTimeline | None = None  # while it runs
        self._intake = Intake()
        self._pace = PaceControl()
        self._send = send
        self.dropped = 0
        self.fed = 0
        self.muted = False  # by the room
        self._paused = False
        self.wanted = asyncio.Event()

    def reconfigure(self, *, processing: bool, redundancy: bool) -> None:
        """Use other settings: `processing` from now on, `redundancy` from the next publication on."""
        self._inlet.process(enabled=processing)
        self._redundancy = redundancy

    def options(self) -> rtc.TrackPublishOptions:
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_MICROPHONE, stream="device", dtx=True, red=self._redundancy
        )
        options.audio_encoding.max_bitrate = _OPUS_BPS
        return options

    def start_publication(self) -> None:
        """Do nothing: there is no queue with earlier sound."""

    def deliver(self, block: Block) -> None:
        """Give one block to the SDK, where it belongs in time."""
        if self._timeline is None or self._paused:  # None: the process is still starting
            return
        now, lead_us = time.monotonic(), self._timeline.lead_us(block.captured_at_us)
        was_paused, settling = self._timeline.paused, now < self._settled_at
        count = len(block.samples) // self._sample_bytes
        silence, skip = self._timeline.block(
            block.captured_at_us,
            count,
            now_us=monotonic_us(),
            settling=settling,
            is_quiet=lambda: _peak(block.samples) < _QUIET,
        )
        if skip == count:
            self._drop()
            return
        if silence:
            self._log.debug("microphone.silence", ms=silence * 1000 // SAMPLE_RATE)
            self._inlet.give_silence(silence)
        if silence or skip or was_paused:
            self._pace.interrupted()
        elif not settling and (ppm := self._pace.measured(lead_us / 1e6, now)) is not None:
            self._log.debug("microphone.pace", ppm=round(ppm))
            self._send(SetPace(ppm=ppm))
        self._inlet.give(
            memoryview(block.samples)[skip * self._sample_bytes :] if skip else block.samples,
            ends_at_us=block.captured_at_us + count * 1_000_000 // SAMPLE_RATE,
        )
        self.fed += 1

    def forget(self) -> None:
        """Drop the samples that wait for the rest of their 10 ms."""
        self._inlet.forget()

    def pause(self, paused: bool) -> None:  # noqa: FBT001 - there is nothing else to say
        """Give the SDK silence only, or sound again."""
        if paused is not self._paused:
            self._paused = paused
            self.forget()

    def unmuted(self) -> None:
        """Do nothing: there is no queue with earlier sound."""

    def viewer_joined(self) -> None:
        """Do nothing: a new viewer hears sound at once."""

    def sampled(self, sent: int, *, fed: int, reception: Reception | None) -> None:
        """Do nothing: a lost packet of sound has no effect on the next ones."""

    def forget_missing(self) -> None:
        """Do nothing: the SDK always sends sound."""

    def taken(self, seconds: float, *, fed: int) -> None:
        """Note how much sound the SDK has taken: `run` ends if it takes none."""
        self._intake.sampled(seconds, given=fed, now=time.monotonic())

    def worker_started(self) -> None:
        """Send a new worker its settings."""
        self._settled_at = time.monotonic() + _SETTLING_S
        if self._pace.ppm:
            self._send(SetPace(ppm=self._pace.ppm))

    async def run(self) -> None:
        """Take blocks, and fill pauses with silence, until cancelled.

        Raises NativePanicError if the SDK takes no sound any more.
        """
        self._timeline = SoundTimeline(started_at_us=monotonic_us())
        while not self._intake.stalled:
            if silence := self._timeline.silence(monotonic_us()):
                self._inlet.give_silence(silence)
            left_us = self._timeline.next_look_us() - monotonic_us()
            await asyncio.sleep(min(max(left_us, 0), PAUSE_US) / 1e6)
        raise NativePanicError("the SDK takes no sound any more")

    async def aclose(self) -> None:
        await self._inlet.aclose()

    def _drop(self) -> None:
        if not self.fed:  # the process is still starting
            return
        self.dropped += 1
        now = time.monotonic()
        if now >= self._log_drops_at:
            self._log_drops_at = now + _DROP_LOG_INTERVAL_S
            self._log.info("microphone.dropped", blocks=self.dropped)


def _peak(samples: bytes) -> int:
    """Return the greatest amplitude of the first 10 ms, of one channel at least."""
    beginning = memoryview(samples)[: SAMPLE_RATE // 100 * SAMPLE_BYTES].cast("h")
    return max(*beginning, -min(beginning))
