"""The registry of operations: which call has which name. `operations` has the calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

ResultT = TypeVar("ResultT")
CallT = TypeVar("CallT")


class Call(Generic[ResultT]):
    """Base of all calls. The type parameter is the type of the result."""

    __slots__ = ()


BY_NAME: dict[str, type[Call[Any]]] = {}
_NAMES: dict[type[Call[Any]], str] = {}


def operation(name: str) -> Callable[[type[CallT]], type[CallT]]:
    """Register a call under the name of its operation. Raises ValueError for a name that is registered already."""

    def registered(cls: type[CallT]) -> type[CallT]:
        if name in BY_NAME:
            raise ValueError(f"operation {name} is registered twice")
        assert issubclass(cls, Call)
        BY_NAME[name], _NAMES[cls] = cls, name
        return cls

    return registered


def name_of(call: Call[Any]) -> str:
    """Return the name of a call's operation."""
    return name_of_class(type(call))


def name_of_class(cls: type[Call[Any]]) -> str:
    """Return the name of the operation of a class of calls."""
    return _NAMES[cls]
