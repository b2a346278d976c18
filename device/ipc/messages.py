"""Every message between the daemon and a worker. Both processes use these types and this registry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from device.ipc.media_messages import SnapshotPiece
from device.ipc.registry import Direction, Request, message

_TO_WORKER, _TO_DAEMON = Direction.TO_WORKER, Direction.TO_DAEMON


@message(1, _TO_WORKER, max_payload_bytes=64 << 10)
@dataclass(frozen=True, slots=True, kw_only=True)
class CameraJob:
    """The settings of a camera worker. Sizes in pixels; `epoch_us` is the monotonic time at which files begin.

    `rotate` is in degrees clockwise. Width and height are those of the capture, before that.
    """

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
    url: str = field(default="", repr=False)
    url_file: str = ""
    rtsp_transport: str = "tcp"
    rotate: int = 0
    night: dict[str, Any] = field(default_factory=dict)
    x264_preset: str = "ultrafast"

    @property
    def published_size(self) -> tuple[int, int]:
        """Return width and height of the picture that viewers see."""
        return (self.height, self.width) if self.rotate in (90, 270) else (self.width, self.height)

    @property
    def night_controls(self) -> dict[str, Any]:
        """Return what [camera.night] sets; empty if it is off."""
        return dict(self.night["controls"]) if self.night.get("enabled") else {}


@message(2, _TO_WORKER, max_payload_bytes=64 << 10)
@dataclass(frozen=True, slots=True, kw_only=True)
class MicrophoneJob:
    """The settings of a microphone worker: 48 kHz, 1 or 2 channels; `epoch_us` as for the camera."""

    source: str
    device: str
    path: str
    channels: int
    gain_db: float
    epoch_us: int
    url: str = field(default="", repr=False)
    url_file: str = ""
    rtsp_transport: str = "tcp"


@message(50, _TO_WORKER, max_payload_bytes=4 << 10)
@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerJob:
    """The settings of a speaker's worker, which plays mono sound at 48 kHz."""

    source: str
    device: str
    volume_db: float


Job = CameraJob | MicrophoneJob | SpeakerJob


@message(3, _TO_DAEMON, max_payload_bytes=4 << 10)
@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The reply to a request without a result. `error` is why it was not carried out; empty if it was."""

    error: str = ""


@message(4, _TO_WORKER, max_payload_bytes=4 << 10)
@dataclass(frozen=True, slots=True, kw_only=True)
class ForceKeyFrame(Request[Done]):
    """Make the next picture a key frame."""


@message(5, _TO_WORKER, max_payload_bytes=4 << 10)
@dataclass(frozen=True, slots=True, kw_only=True)
class SetKeyFramesOnly(Request[Done]):
    """Send key frames only, or all frames again. The SDK loses the first units after a publication."""

    enabled: bool


@message(6, _TO_WORKER, max_payload_bytes=4 << 10)
@dataclass(frozen=True, slots=True, kw_only=True)
class SetBitrate(Request[Done]):
    """Encode at this bitrate from now on, and each picture so many times more."""

    bitrate_bps: int
    repetitions: int = 0


@message(7, _TO_WORKER, max_payload_bytes=4 << 10)
@dataclass(frozen=True, slots=True, kw_only=True)
class SetPictureLimits(Request[Done]):
    """Limit the size of pictures, in pixels, and their frame rate."""

    width: int
    height: int
    fps: int


@message(8, _TO_WORKER, max_payload_bytes=4 << 10)
@dataclass(frozen=True, slots=True, kw_only=True)
class SetPace(Request[Done]):
    """Correct the source's clock, which is faster than the daemon's by this many parts per million."""

    ppm: float


@message(9, _TO_DAEMON, max_payload_bytes=128 << 10)
@dataclass(frozen=True, slots=True, kw_only=True)
class Capturing:
    """The source is open. Fields that do not apply to a source are empty or 0."""

    source: str
    encoder: str = ""
    device: str = ""
    width: int = 0
    height: int = 0
    fps: int = 0
    channels: int = 0
    native_rate: int = 0
    native_channels: int = 0
    controls: dict[str, Any] = field(default_factory=dict)


@message(10, _TO_DAEMON, max_payload_bytes=32 << 10)
@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """One log line of a worker: a static event name and its fields."""

    level: str
    event: str
    fields: dict[str, Any] = field(default_factory=dict)


@message(11, _TO_DAEMON, max_payload_bytes=4 << 10)
@dataclass(frozen=True, slots=True, kw_only=True)
class Degraded:
    """A source delivers data, but is degraded. An empty text means that it has recovered.

    Without `fault` the text is how it works now, such as at night, and nothing is wrong.
    """

    text: str
    fault: bool = True


@message(12, _TO_DAEMON, max_payload_bytes=16 << 10)
@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The worker ends. `error` is the exception's type, `message` is for the log, `for_viewers` is public."""

    error: str
    message: str
    for_viewers: str


@message(15, _TO_WORKER, max_payload_bytes=64 << 10)
@dataclass(frozen=True, slots=True, kw_only=True)
class SetControls(Request[Done]):
    """Set these controls of the camera, by libcamera's names; the others stay. Refused if one is unknown or wrong."""

    controls: dict[str, Any]


@message(16, _TO_WORKER, max_payload_bytes=4 << 10)
@dataclass(frozen=True, slots=True, kw_only=True)
class SetGain(Request[Done]):
    """Amplify sound by this many decibels from now on."""

    gain_db: float


@message(30, _TO_WORKER, max_payload_bytes=64 << 10)
@dataclass(frozen=True, slots=True, kw_only=True)
class SetNight(Request[Done]):
    """Follow this table [camera.night] from now on, which stays enabled. Refused if one of its controls is wrong."""

    night: dict[str, Any]


@message(31, _TO_WORKER, max_payload_bytes=4 << 10)
@dataclass(frozen=True, slots=True, kw_only=True)
class TakeSnapshot(Request[SnapshotPiece]):
    """Make a JPEG of the newest picture, at most `max_width` wide unless that is 0, and of this quality, 1 to 100.

    With `full` it has the sensor's full size if the source can do that, and the stream may pause for up to a second.
    """

    max_width: int
    quality: int
    full: bool

    reply_within_s: ClassVar[float] = 12.0  # a source may deliver a picture each few seconds only, and boards are slow


@message(44, _TO_WORKER, max_payload_bytes=4 << 10)
@dataclass(frozen=True, slots=True, kw_only=True)
class SetPaused(Request[Done]):
    """Encode and send no pictures, because nobody watches, or do so again; then the next one is a key frame."""

    paused: bool


@message(45, _TO_DAEMON, max_payload_bytes=4 << 10)
@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """Pictures are captured and not sent, because the stream is paused; a few times a second."""


@message(40, _TO_DAEMON, max_payload_bytes=4 << 10)
@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """How many pictures or blocks this worker has dropped since its start, by cause (`worker_counts.DROP_CAUSES`)."""

    totals: dict[str, Any]
