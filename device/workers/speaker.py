"""The speaker worker: plays the sound that the daemon sends, carries out its requests, reports how it plays."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from device.clock import monotonic_us
from device.errors import SourceError, WireError
from device.ipc.media_messages import PLAYED_BYTES, SpeakerReport
from device.ipc.messages import Capturing, SpeakerJob
from device.ipc.worker_link import WorkerLink, serve
from device.workers.sound_queue import SoundQueue
from device.workers.sound_requests import Gain, carry_out

if TYPE_CHECKING:
    from device.ipc.media_messages import PlaySound
    from device.workers.speaker_output import PyAudioOutput

_SILENCE = bytes(PLAYED_BYTES)
_REPORT_US = 500_000
# What a device has left to play at least when it has just taken a block; one with more latency has more.
_GRACE_S, _MOST_GRACE_S, _KEPT_S = 0.005, 0.015, 0.015


class Waiting:
    """The queue, between the thread that reads messages and the one that plays."""

    def __init__(self) -> None:
        self.queue = SoundQueue()
        self._changed = threading.Condition()

    def put(self, sound: PlaySound) -> None:
        with self._changed:
            self.queue.put(sound.samples, sound.arrived_at_us, now_us=monotonic_us())
            self._changed.notify()

    def take(self, grace_s: float) -> bytes | None:
        """Return the next block; None for silence. In the middle of a sound, wait for a block that is a little late."""
        with self._changed:
            if self.queue.starved:
                self._changed.wait(grace_s)
            return self.queue.take(now_us=monotonic_us())

    def played(self) -> tuple[int, float]:
        with self._changed:
            return self.queue.played()


def main() -> int:
    return serve(_run)


def _run(link: WorkerLink) -> None:
    job = link.job
    if not isinstance(job, SpeakerJob):
        raise WireError("a speaker worker needs a speaker's job")
    if job.source != "pyaudio":
        raise SourceError(f"there is no speaker source {job.source!r}", for_viewers="the source is unknown")
    from device.workers.speaker_output import PyAudioOutput

    # Nothing is closed at the end: a driver may hang in close(), and the end of the process frees the device.
    output = PyAudioOutput(device=job.device)
    link.capturing(
        Capturing(
            source=output.name,
            device=output.speaker.name,
            native_rate=output.rate,
            native_channels=output.speaker.channels,
            channels=output.channels,
        )
    )
    _play(link, output, Gain(job.volume_db))


def _play(link: WorkerLink, output: PyAudioOutput, volume: Gain) -> None:
    """Play for ever, silence while there is no sound: so it is noticed when the speaker is disconnected or hangs."""
    waiting, report_at_us, grace_s = Waiting(), 0, _GRACE_S
    link.on_sound = waiting.put
    while True:
        for request in link.requests():
            link.reply(request, carry_out(request.message, clock=output, gain=volume, of="speaker"))
        block = waiting.take(grace_s)
        output.write(_SILENCE if block is None else volume.amplified(block))
        if monotonic_us() >= report_at_us:
            report_at_us = monotonic_us() + _REPORT_US
            (blocks, queue_ms), latency_ms = waiting.played(), output.latency_ms
            grace_s = min(_MOST_GRACE_S, max(_GRACE_S, latency_ms / 1000 - _KEPT_S))
            link.send(
                SpeakerReport(
                    at_us=monotonic_us(),
                    queue_ms=queue_ms,
                    target_ms=waiting.queue.target_ms,
                    output_latency_ms=latency_ms,
                    blocks=blocks,
                    underruns=waiting.queue.underruns,
                    dropped=waiting.queue.dropped,
                )
            )


if __name__ == "__main__":
    sys.exit(main())
