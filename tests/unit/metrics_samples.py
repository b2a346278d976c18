"""Readings of a made-up device, for tests of what is made of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from device.ipc.worker_counts import DROP_CAUSES, RESTART_REASONS
from device.metrics.readings import STAGES, Readings, SpeakerReadings, StreamReadings
from device.room.reasons import LABELS

CAMERA = StreamReadings(
    name="camera",
    kind="camera",
    state="live",
    publication="published",
    ages_s=dict.fromkeys(STAGES, 0.05),
    frames=900,
    sent_bytes=7_000_000,
    bitrate_bps=1_500_000,
    target_bps=2_000_000,
    size=(1280, 720),
    lost=0.01,
    drops=dict.fromkeys((*DROP_CAUSES, "sdk_busy"), 0) | {"late": 3},
    restarts=dict.fromkeys(RESTART_REASONS, 0) | {"stalled": 1},
    worker_memory_bytes=40_000_000,
    watched=True,
    watched_s=30.5,
)
MICROPHONE = replace(
    CAMERA,
    name="microphone",
    kind="microphone",
    state="not present",
    size=None,
    target_bps=None,
    watched=None,
    watched_s=None,
)
_READINGS = Readings(
    identity="front-door",
    model="Raspberry Pi 4 Model B",
    version="1.2.3",
    sdk_version="1.2.1",
    state="live",
    room_state="live",
    started_at=1_790_000_000.0,
    uptime_s=120.0,
    memory_bytes=60_000_000,
    clock_offset_s=-0.2,
    temperature_celsius=51.2,
    throttled=("under-voltage",),
    round_trip_s=0.021,
    rejoins=dict.fromkeys(LABELS, 0) | {"server_away": 2},
    streams=(CAMERA, MICROPHONE),
    speaker=SpeakerReadings(
        state="live",
        talkers=1,
        restarts=dict.fromkeys(RESTART_REASONS, 0) | {"failed": 4},
        worker_memory_bytes=30_000_000,
    ),
)


def readings(**changes: Any) -> Readings:
    return replace(_READINGS, **changes)
