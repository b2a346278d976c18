"""The results of operations: plain data, which each interface shows or serialises. Times in seconds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What an operation without another result has done, as text."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomStatus:
    """The connection to the room. `reason` is why it is not live; `last_disconnect` why it was left the last time."""

    state: str
    reason: str
    url: str
    name: str
    last_disconnect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStatus:
    """One stream. Sizes in pixels; rates per second; what does not apply to a kind is 0.

    `bitrate_bps` is what is sent, with RTP; `dropped` counts what was dropped in the daemon, and `drops` all that was
    dropped, by cause, without those that have none. `watched` is None where that makes no difference;
    `watched_since` is since when it is or is not, as ISO 8601.
    """

    kind: str
    state: str
    reason: str
    publication: str
    width: int = 0
    height: int = 0
    fps: float = 0.0
    bitrate_bps: int = 0
    dropped: int = 0
    drops: dict[str, int] = field(default_factory=dict)
    watched: bool | None = None
    watched_since: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerStatus:
    """The speaker. `talkers` are the identities that are heard now, the first one first."""

    state: str
    reason: str
    talkers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardStatus:
    """The board. What it does not tell is None. `throttled` has the firmware's reasons, empty for none."""

    temperature_celsius: float | None
    throttled: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStatus:
    """The device. `clock_offset_s` is how far its clock is ahead of the server's; `speaker` is None if it is off."""

    state: str
    identity: str
    version: str
    model: str
    pid: int
    uptime_s: float
    clock_offset_s: float
    config_file: str
    configuration: str
    room: RoomStatus
    streams: dict[str, StreamStatus]
    board: BoardStatus
    speaker: SpeakerStatus | None = None

    @property
    def live(self) -> bool:
        return self.state == "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyState:
    """Where privacy is on: for `all` streams, also later ones, and for some by name. `text` says it for operators."""

    text: str
    all: bool
    streams: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """How a command ended.

    exit_code: negative is the number of the signal that ended it
    timed_out: it was killed because its time was over
    discarded_bytes: what it wrote beyond the limit of `output`
    """

    name: str
    exit_code: int
    timed_out: bool
    took_s: float
    discarded_bytes: int
    output: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLines:
    """Log records, the oldest first; each has a `number`, which is higher than the one before."""

    records: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveConfig:
    """Each key, such as "camera.fps", with `value`, `layer`, `place`, `needs` and `remote`; secrets masked.

    Those of a camera's controls have `offered` too: what the open camera has, each with its range.
    """

    keys: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigChange:
    """What was done for each key: "applied live", "worker restart", "rejoin" or "unchanged"."""

    keys: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of one stream. `captured_at` is UTC by the device's clock, as ISO 8601; sizes in pixels.

    `full` tells whether it has the sensor's full size. `data` is a JPEG, and no part of the JSON.
    """

    stream: str
    captured_at: str
    width: int
    height: int
    full: bool
    data: bytes = field(repr=False)


def plain(result: object) -> dict[str, Any]:
    """Return a result as JSON has it. What `attachment` returns is left out, and its length is there as `bytes`."""
    assert is_dataclass(result)
    assert not isinstance(result, type)
    if isinstance(result, Picture):
        values = {each.name: getattr(result, each.name) for each in fields(result) if each.name != "data"}
        return values | {"bytes": len(result.data)}
    return asdict(result)


def attachment(result: object) -> bytes:
    """Return the bytes that an interface has to send beside the JSON; empty if there are none."""
    return result.data if isinstance(result, Picture) else b""
