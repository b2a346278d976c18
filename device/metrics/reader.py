"""Reads what is measured from the parts of the running device."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from livekit import rtc

import device
from device import board
from device.identity import board_model
from device.metrics.readings import Readings, SpeakerReadings, StreamReadings
from device.room.reasons import LABELS
from device.tracks.video import VideoTrack

if TYPE_CHECKING:
    from device.clock import ServerClock
    from device.reload.running import RunningDevice
    from device.speaker.speaker import Speaker
    from device.streams.stream import Stream
    from device.telemetry.bitrates import Bitrates
    from device.telemetry.status import Status
    from device.telemetry.transmission import Transmission

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Reader:
    """Reads the device; no part of it waits. `started_at` is in monotonic seconds."""

    def __init__(
        self,
        running: RunningDevice,
        *,
        status: Status,
        bitrates: Bitrates,
        transmission: Transmission,
        clock: ServerClock,
        started_at: float,
        speaker: Speaker | None,
    ) -> None:
        self._running, self._status, self._clock = running, status, clock
        self._bitrates, self._transmission, self._started_at = bitrates, transmission, started_at
        self._speaker = speaker

    def read(self) -> Readings:
        uptime_s = time.monotonic() - self._started_at
        return Readings(
            identity=self._running.settings.token_source.wanted.own_identity,
            model=board_model(),
            version=device.__version__,
            sdk_version=rtc.__version__,
            state=self._status.state.value,
            room_state=self._status.room_state.value,
            started_at=time.time() - uptime_s,
            uptime_s=uptime_s,
            memory_bytes=resident_bytes(os.getpid()),
            clock_offset_s=self._clock.offset_s,
            temperature_celsius=board.temperature_celsius(),
            throttled=board.throttled(),
            round_trip_s=self._transmission.round_trip_s,
            rejoins=dict.fromkeys(LABELS, 0) | self._transmission.ends,
            streams=tuple(self._stream(name, each) for name, each in self._running.streams.items()),
            speaker=self._speaker_readings(),
        )

    def _speaker_readings(self) -> SpeakerReadings | None:
        if (speaker := self._speaker) is None:
            return None
        counts = speaker.counts
        return SpeakerReadings(
            state=speaker.worker_state.value,
            talkers=len(speaker.talkers),
            restarts=dict(counts.restarts),
            worker_memory_bytes=resident_bytes(counts.pid) if counts.pid else None,
        )

    def _stream(self, name: str, stream: Stream) -> StreamReadings:
        state, _, publication = self._status.stream(name)
        track, counts, transmission = stream.track, stream.supervisor.counts, self._transmission
        video = track if isinstance(track, VideoTrack) else None
        now = time.monotonic()
        seen_at = {
            "captured": counts.captured_at_us / 1e6,
            "encoded": counts.delivered_at,
            "sent": transmission.sent_at.get(name, 0.0),
            "acknowledged": transmission.acknowledged_at.get(name, 0.0),
        }
        return StreamReadings(
            name=name,
            kind=track.kind,
            state=state.value,
            publication=publication.value,
            ages_s={stage: max(0.0, now - at) for stage, at in seen_at.items() if at},
            frames=track.fed,
            sent_bytes=transmission.sent_bytes.get(name, 0),
            bitrate_bps=self._bitrates.of(name),
            target_bps=video.target_bps if video else None,
            size=(video.sent.width, video.sent.height) if video and video.sent else None,
            lost=transmission.lost.get(name),
            drops=stream.drops,
            restarts=dict(counts.restarts),
            worker_memory_bytes=resident_bytes(counts.pid) if counts.pid else None,
            watched=stream.watching.watched if stream.watching else None,
            watched_s=stream.watching.watched_s if stream.watching else None,
        )


def resident_bytes(pid: int) -> int | None:
    """Return the resident memory of a process, from proc(5); None if there is no such process."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    return None
