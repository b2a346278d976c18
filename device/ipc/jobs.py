"""What a worker has to do: plain data that crosses the wire. Without heavy imports, because both processes load it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraJob:
    """Sizes in pixels, rates in bits a second; `epoch_us` is the monotonic time at which files begin."""

    source: str
    width: int
    height: int
    fps: int
    device: str
    path: str
    hflip: bool
    vflip: bool
    controls: dict[str, Any]
    encoder: str
    bitrate_max_bps: int
    bitrate_min_bps: int
    keyframe_interval_s: int
    identity: str
    epoch_us: int

    def to_wire(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class MicrophoneJob:
    """Sound at 48 kHz with 1 or 2 channels; `epoch_us` as for the camera."""

    source: str
    device: str
    path: str
    channels: int
    gain_db: float
    epoch_us: int

    def to_wire(self) -> dict[str, Any]:
        return asdict(self)
