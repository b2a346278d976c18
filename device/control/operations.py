"""Every operation: its name, its arguments and its result. All interfaces use these types.

A call is a frozen dataclass of its arguments. `@operation("NAME")` registers it; `decoding` makes one of what a caller
sends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from device.control.limits import LEVELS, MAX_LOG_LINES, QUALITIES, USUAL_QUALITY, WIDTHS
from device.control.registry import Call, operation
from device.control.results import (
    CommandResult,
    ConfigChange,
    DeviceStatus,
    Done,
    EffectiveConfig,
    LogLines,
    Picture,
    PrivacyState,
)
from device.control.values import check_values
from device.errors import CallError


@operation("status")
@dataclass(frozen=True, slots=True, kw_only=True)
class GetStatus(Call[DeviceStatus]):
    """How the device, its room and its streams are."""


@operation("logs")
@dataclass(frozen=True, slots=True, kw_only=True)
class GetLogs(Call[LogLines]):
    """The newest log records, the oldest first: at most `lines`, of this level and above.

    `since` is the number of the last record that the caller has.
    """

    since: int = 0
    level: str = "debug"
    lines: int = 100

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise CallError(f"level of logs must be one of {', '.join(LEVELS)}")
        if not 1 <= self.lines <= MAX_LOG_LINES:
            raise CallError(f"lines of logs must be between 1 and {MAX_LOG_LINES}")


@operation("key_frame")
@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKeyFrame(Call[Done]):
    """Let a camera's encoder make its next picture a key frame."""

    stream: str


@operation("restart")
@dataclass(frozen=True, slots=True, kw_only=True)
class RestartStream(Call[Done]):
    """End the worker of a stream and start a new one. The track stays published."""

    stream: str


@operation("snapshot")
@dataclass(frozen=True, slots=True, kw_only=True)
class GetSnapshot(Call[Picture]):
    """A JPEG of a camera's newest picture, also while nobody watches; of the first camera if none is named.

    It has the stream's size, unless `max_width` is smaller and not 0; with `full` the sensor's, if the source can do
    that, and the stream may pause for up to a second. `quality` is 1 to 100.
    """

    stream: str = ""
    max_width: int = 0
    quality: int = USUAL_QUALITY
    full: bool = False

    def __post_init__(self) -> None:
        if self.max_width and not WIDTHS[0] <= self.max_width <= WIDTHS[1]:
            raise CallError(f"max_width of snapshot must be 0 or between {WIDTHS[0]} and {WIDTHS[1]}")
        if not QUALITIES[0] <= self.quality <= QUALITIES[1]:
            raise CallError(f"quality of snapshot must be between {QUALITIES[0]} and {QUALITIES[1]}")


@operation("privacy")
@dataclass(frozen=True, slots=True, kw_only=True)
class SetPrivacy(Call[PrivacyState]):
    """Do not capture a stream, or all streams if none is named, until privacy is turned off.

    With `local` only a caller on the device itself can turn it off.
    """

    on: bool
    stream: str = ""
    local: bool = False


@operation("run")
@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommand(Call[CommandResult]):
    """Run a command of the configuration, with texts for its arguments."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@operation("play")
@dataclass(frozen=True, slots=True, kw_only=True)
class PlaySound(Call[Done]):
    """Play a sound of the configuration on the speaker, to its end."""

    name: str


@operation("rejoin")
@dataclass(frozen=True, slots=True, kw_only=True)
class Rejoin(Call[Done]):
    """Leave the room and join it again."""


@operation("reload")
@dataclass(frozen=True, slots=True, kw_only=True)
class Reload(Call[Done]):
    """Read the configuration's files again."""


@operation("config")
@dataclass(frozen=True, slots=True, kw_only=True)
class GetConfig(Call[EffectiveConfig]):
    """The configuration in effect, or one table of it, such as "camera" or "cameras.garden"."""

    table: str = ""


@operation("set")
@dataclass(frozen=True, slots=True, kw_only=True)
class SetValues(Call[ConfigChange]):
    """Give keys of the configuration new values, all or none: {"camera.fps": 15}. With `persist` for later starts too.

    Only keys that the schema marks `REMOTE`, for every caller. The change is reverted if the device was live, and is
    not live again within a minute.
    """

    values: dict[str, Any]
    persist: bool = False

    def __post_init__(self) -> None:
        check_values(self.values)


@operation("reset")
@dataclass(frozen=True, slots=True, kw_only=True)
class ResetValues(Call[ConfigChange]):
    """Remove all changes by `set`, persisted or not: the configuration's files are in effect again."""
