"""What is measured of the device at one moment: plain data. Times in seconds; None is what is not known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

STAGES: Final = ("captured", "encoded", "sent", "acknowledged")
"""The way of a frame: captured, encoded and in the daemon, sent by the SDK, received as the server reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReadings:
    """One stream. `ages_s` has the age of the newest frame by its stage, without stages that none has reached.

    `frames` were given to the SDK. `drops` are by cause, `restarts` of its workers by reason, `lost` is from 0 to 1.
    `watched` and `watched_s` (since the start) are None if it sends whether it is watched or not.
    """

    name: str
    kind: str
    state: str
    publication: str
    ages_s: Mapping[str, float]
    frames: int
    sent_bytes: int
    bitrate_bps: int
    target_bps: int | None
    size: tuple[int, int] | None
    lost: float | None
    drops: Mapping[str, int]
    restarts: Mapping[str, int]
    worker_memory_bytes: int | None
    watched: bool | None
    watched_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerReadings:
    """The speaker. `talkers` is how many are heard now; the rest is as for a stream."""

    state: str
    talkers: int
    restarts: Mapping[str, int]
    worker_memory_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """The device. `started_at` is in epoch seconds; `rejoins` counts ended sessions by why they ended.

    `speaker` is None if it is off.
    """

    identity: str
    model: str
    version: str
    sdk_version: str
    state: str
    room_state: str
    started_at: float
    uptime_s: float
    memory_bytes: int | None
    clock_offset_s: float
    temperature_celsius: float | None
    throttled: tuple[str, ...] | None
    round_trip_s: float | None
    rejoins: Mapping[str, int]
    streams: tuple[StreamReadings, ...]
    speaker: SpeakerReadings | None = None
