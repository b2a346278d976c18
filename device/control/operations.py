"""Every operation: its name, its arguments and its result. All interfaces use these types and this registry.

A call is a frozen dataclass of its arguments. `@operation("NAME")` registers it; `decoded` makes one of what a caller
sends.
"""

from __future__ import annotations

import typing
from dataclasses import MISSING, dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from device.control.limits import LEVELS, MAX_LOG_LINES, QUALITIES, USUAL_QUALITY, WIDTHS
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
from device.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from dataclasses import Field

ResultT = TypeVar("ResultT")
CallT = TypeVar("CallT")

_MAX_NAME = 64
_JSON_NAMES = MappingProxyType(
    {str: "a text", int: "a whole number", float: "a number", bool: "true or false", dict: "an object"}
)


class Call(Generic[ResultT]):
    """Base of all calls. The type parameter is the type of the result."""

    __slots__ = ()


_BY_NAME: dict[str, type[Call[Any]]] = {}
_NAMES: dict[type[Call[Any]], str] = {}


def operation(name: str) -> Callable[[type[CallT]], type[CallT]]:
    """Register a call under the name of its operation. Raises ValueError for a name that is registered already."""

    def registered(cls: type[CallT]) -> type[CallT]:
        if name in _BY_NAME:
            raise ValueError(f"operation {name} is registered twice")
        assert issubclass(cls, Call)
        _BY_NAME[name], _NAMES[cls] = cls, name
        return cls

    return registered


def names() -> tuple[str, ...]:
    """Return the names of all operations."""
    return tuple(sorted(_BY_NAME))


def name_of(call: Call[Any]) -> str:
    """Return the name of a call's operation."""
    return name_of_class(type(call))


def name_of_class(cls: type[Call[Any]]) -> str:
    """Return the name of the operation of a class of calls."""
    return _NAMES[cls]


def decoded(name: object, arguments: object) -> Call[Any]:
    """Return the call of an operation with arguments from outside, as JSON has them.

    Raises CallError that says what is wrong and what is allowed.
    """
    cls = _BY_NAME.get(name) if isinstance(name, str) else None
    if cls is None:
        raise CallError(f"there is no operation {_shown(name)}; there are: {', '.join(names())}")
    if not isinstance(arguments, dict):
        raise CallError(f"the arguments of {name} must be an object")
    hints = typing.get_type_hints(cls)
    known = {each.name: each for each in fields(cls)}  # type: ignore[arg-type]  # the classes are dataclasses
    for key in arguments:
        if key not in known:
            allowed = f"it takes: {', '.join(known)}" if known else "it takes none"
            raise CallError(f"{name} has no argument {_shown(key)}; {allowed}")
    if missing := [key for key, each in known.items() if _is_required(each) and key not in arguments]:
        raise CallError(f"{name} needs the argument {missing[0]}")
    return cls(**{key: _checked(str(name), key, value, hints[key]) for key, value in arguments.items()})


def _is_required(argument: Field[object]) -> bool:
    return argument.default is MISSING and argument.default_factory is MISSING


def _checked(name: str, key: str, value: object, hint: type) -> object:
    if hint is float and type(value) is int:
        return float(value)
    kind = typing.get_origin(hint) or hint
    if type(value) is not kind:
        raise CallError(f"{key} of {name} must be {_JSON_NAMES[kind]}")
    return value


def _shown(value: object) -> str:
    return f'"{printable(str(value)[:_MAX_NAME])}"'


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


def as_request(call: Call[Any]) -> Mapping[str, object]:
    """Return a call as JSON has it: what `decoded` takes."""
    arguments = {each.name: getattr(call, each.name) for each in fields(call)}  # type: ignore[arg-type]
    return {"operation": name_of(call), "arguments": arguments}
