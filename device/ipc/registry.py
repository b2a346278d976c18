"""The registry of message types: each has a number, a direction, a maximum size and a codec.

A message is a frozen dataclass. `@message(...)` registers it; `spec_of` and `spec_numbered` look it up. Received data
is untrusted input: a payload that does not match the fields of its type raises WireError.
"""

from __future__ import annotations

import enum
import json
import typing
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

from device.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Callable

ReplyT = TypeVar("ReplyT")
MessageT = TypeVar("MessageT")


class Direction(enum.Enum):
    """Which process may send a message."""

    TO_WORKER = "to worker"
    TO_DAEMON = "to daemon"


class Wire(NamedTuple):
    """The variable part of a framed message: the payload, and the header fields that describe it.

    Sizes in pixels, the capture time in microseconds of CLOCK_MONOTONIC.
    """

    payload: bytes
    key: bool = False
    width: int = 0
    height: int = 0
    number: int = 0
    captured_at_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec(Generic[MessageT]):
    """The wire form of one message type."""

    type: type[MessageT]
    number: int
    direction: Direction
    max_payload_bytes: int
    encode: Callable[[MessageT], Wire]
    decode: Callable[[Wire], MessageT]


class Request(Generic[ReplyT]):
    """Base of the messages that get a reply. The type parameter is the type of the reply."""

    __slots__ = ()
    reply_within_s: ClassVar[float] = 2.0


_BY_NUMBER: dict[int, Spec[Any]] = {}
_BY_TYPE: dict[type, Spec[Any]] = {}


def message(
    number: int,
    direction: Direction,
    *,
    max_payload_bytes: int,
    encode: Callable[[Any], Wire] | None = None,
    decode: Callable[[Wire], Any] | None = None,
) -> Callable[[type[MessageT]], type[MessageT]]:
    """Register a dataclass as a message. Without `encode` and `decode` its payload is a JSON object of its fields.

    Raises ValueError if the number or the type is registered already.
    """

    def registered(cls: type[MessageT]) -> type[MessageT]:
        if number in _BY_NUMBER or cls in _BY_TYPE:
            raise ValueError(f"message {number} ({cls.__name__}) is registered twice")
        spec = Spec(
            type=cls,
            number=number,
            direction=direction,
            max_payload_bytes=max_payload_bytes,
            encode=encode or _to_json,
            decode=decode or _Json(cls).decoded,
        )
        _BY_NUMBER[number] = _BY_TYPE[cls] = spec
        return cls

    return registered


def spec_of(cls: type[MessageT]) -> Spec[MessageT]:
    """Return the spec of a message type. Raises KeyError for a type that is not registered."""
    return _BY_TYPE[cls]


def spec_numbered(number: int) -> Spec[Any] | None:
    """Return the spec with this message number, if there is one."""
    return _BY_NUMBER.get(number)


def registered() -> tuple[Spec[Any], ...]:
    """Return every spec, in the order of the numbers."""
    return tuple(_BY_NUMBER[number] for number in sorted(_BY_NUMBER))


def _to_json(value: Any) -> Wire:
    return Wire(json.dumps(asdict(value), default=repr).encode())


class _Json:
    """Decodes a JSON object into a dataclass, field by field."""

    def __init__(self, cls: type) -> None:
        self._cls = cls
        self._hints: dict[str, Any] = {}

    def decoded(self, wire: Wire) -> Any:
        try:
            value = json.loads(wire.payload)
        except (ValueError, RecursionError):
            raise WireError(f"a {self._cls.__name__} message is not JSON") from None
        if not isinstance(value, dict):
            raise WireError(f"a {self._cls.__name__} message is not JSON object")
        if not self._hints:
            known = typing.get_type_hints(self._cls)  # not in the decorator: the module is incomplete then
            self._hints = {each.name: known[each.name] for each in fields(self._cls)}
        if value.keys() - self._hints.keys():
            raise WireError(f"a {self._cls.__name__} message has unknown fields")
        converted = {name: _converted(self._cls, name, each, self._hints[name]) for name, each in value.items()}
        try:
            return self._cls(**converted)
        except TypeError:
            raise WireError(f"a {self._cls.__name__} message lacks a field") from None


def _converted(cls: type, name: str, value: Any, hint: Any) -> Any:
    if hint is Any:
        return value
    origin = typing.get_origin(hint) or hint
    if origin is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    # bool is a subclass of int in Python, but not on the wire.
    if not isinstance(value, origin) or (origin is int and isinstance(value, bool)):
        raise WireError(f"the field {name} of a {cls.__name__} message must be {origin.__name__}")
    return value
