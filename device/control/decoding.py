"""Calls as JSON has them: checked when they come from outside, and as a request."""

from __future__ import annotations

import typing
from dataclasses import MISSING, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import device.control.operations  # registers every call  # noqa: F401
from device.control.registry import BY_NAME, name_of
from device.errors import CallError
from device.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from dataclasses import Field

    from device.control.registry import Call

_MAX_NAME = 64
_JSON_NAMES = MappingProxyType(
    {str: "a text", int: "a whole number", float: "a number", bool: "true or false", dict: "an object"}
)


def names() -> tuple[str, ...]:
    """Return the names of all operations."""
    return tuple(sorted(BY_NAME))


def decoded(name: object, arguments: object) -> Call[Any]:
    """Return the call of an operation with arguments from outside, as JSON has them.

    Raises CallError that says what is wrong and what is allowed.
    """
    cls = BY_NAME.get(name) if isinstance(name, str) else None
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


def as_request(call: Call[Any]) -> Mapping[str, object]:
    """Return a call as JSON has it: what `decoded` takes."""
    arguments = {each.name: getattr(call, each.name) for each in fields(call)}  # type: ignore[arg-type]
    return {"operation": name_of(call), "arguments": arguments}
