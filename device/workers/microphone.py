"""The microphone worker: captures sound, sends blocks of PCM to the daemon, carries out its requests."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from device.errors import SourceError, WireError
from device.ipc.messages import Capturing, Dropped, MicrophoneJob
from device.ipc.worker_link import WorkerLink, serve
from device.workers.drops import DropLog
from device.workers.named import damage_log, named
from device.workers.sound_requests import Gain, carry_out
from device.workers.unchanged import UnchangedDetector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from device.media.block import Block

_OVERFLOW_LOG_INTERVAL_S = 10.0
_SILENT_S = 10.0


class Source(Protocol):
    """A source of blocks; see `device.sources`."""

    name: str

    def blocks(self) -> Iterator[Block]: ...
    def pace(self, ppm: float) -> None:
        """Correct the source's clock, which is faster than the daemon's by this many parts per million."""
        ...


def main() -> int:
    return serve(_capture)


def _capture(link: WorkerLink) -> None:
    job = link.job
    if not isinstance(job, MicrophoneJob):
        raise WireError("a microphone worker needs a microphone's job")
    # Nothing is closed at the end: a driver may hang in close(), and the end of the process frees the device.
    if job.source == "auto":
        from device.sources.automatic import microphone_source

        job = replace(job, source=microphone_source(job.device))
    with named(job.source, job.path):
        _deliver(link, job)


def _deliver(link: WorkerLink, job: MicrophoneJob) -> None:
    source = open_source(job, link)
    gain = Gain(job.gain_db)
    silence = UnchangedDetector(limit_s=_SILENT_S)
    for block in source.blocks():
        for request in link.requests():
            link.reply(request, carry_out(request.message, clock=source, gain=gain, of="microphone"))
        # A working microphone has noise: only zeros mean that it is muted or broken.
        silent = silence.update(time.monotonic(), same=not any(block.samples))
        if silent is not None:
            link.degraded(f"nothing but zeros for {_SILENT_S:.0f} s" if silent else "")
        link.block(gain.amplified(block.samples), captured_at_us=block.captured_at_us)


def open_source(job: MicrophoneJob, link: WorkerLink) -> Source:
    """Import and open the configured source. The libraries of other sources are not loaded."""
    source: Source
    match job.source:
        case "tone":
            from device.sources.tone import ToneSource

            source = ToneSource(channels=job.channels)
            link.capturing(Capturing(source=source.name, channels=job.channels))
        case "file":
            from device.sources.wave_file import WaveFile

            source = WaveFile.open_native(path=job.path, channels=job.channels, epoch_us=job.epoch_us) or _decoded(
                job, link
            )
            link.capturing(Capturing(source=source.name, channels=job.channels))
        case "stream":
            from device.sources.network_input import NetworkInput
            from device.sources.network_sound import NetworkSound

            stream = NetworkInput(url=job.url, url_file=job.url_file, kind="audio", transport=job.rtsp_transport)
            source = NetworkSound(stream, channels=job.channels)
            link.capturing(Capturing(source=source.name, channels=job.channels))
        case "pyaudio":
            from device.sources.pyaudio import PyAudioSource

            source = microphone = PyAudioSource(
                device=job.device, channels=job.channels, on_overflow=_overflow_log(link)
            )
            link.capturing(
                Capturing(
                    source=source.name,
                    device=microphone.microphone.name,
                    native_rate=microphone.rate,
                    native_channels=microphone.microphone.channels,
                    channels=job.channels,
                )
            )
        case _:
            raise SourceError(f"there is no microphone source {job.source!r}", for_viewers="the source is unknown")
    return source


def _decoded(job: MicrophoneJob, link: WorkerLink) -> Source:
    from device.sources.sound_clip import SoundClip

    return SoundClip(
        path=job.path,
        channels=job.channels,
        epoch_us=job.epoch_us,
        on_damage=damage_log(link, "microphone.file_damaged"),
    )


def _overflow_log(link: WorkerLink) -> Callable[[int], None]:
    """Return a function that logs and reports the number of overflows at a bounded rate."""
    next_at = 0.0
    reports = DropLog(lambda _counts: None, lambda totals: link.send(Dropped(totals=totals)))

    def on_overflow(count: int) -> None:
        nonlocal next_at
        reports.update(time.monotonic(), overflow=count)
        if time.monotonic() >= next_at:
            next_at = time.monotonic() + _OVERFLOW_LOG_INTERVAL_S
            link.log("warning", "microphone.overflow", count=count)

    return on_overflow


if __name__ == "__main__":
    sys.exit(main())
