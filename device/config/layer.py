"""A layer of the configuration: what one place sets. The last layer that sets a key wins. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


class LayerKind(enum.Enum):
    """What kind of place a layer is, in the order in which they win."""

    FILE = "file"
    REMOTE = "remote"  # persisted changes: overrides.toml
    TEMPORARY = "temporary"  # changes until the next start
    ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """The tables and keys that one place sets.

    path: its file, if it is one
    variables: the environment's variable of each key, by the names that lead to it
    """

    data: Mapping[str, Any] = field(repr=False)  # it may hold secrets
    kind: LayerKind = LayerKind.FILE
    path: Path | None = None
    variables: Mapping[tuple[str, ...], str] = field(default_factory=dict)

    def sets(self, where: tuple[str, ...]) -> bool:
        """Return whether this layer sets a key, or anything in a table."""
        found: object = self.data
        for name in where:
            if not isinstance(found, dict) or name not in found:
                return False
            found = found[name]
        return self.kind is not LayerKind.ENVIRONMENT or self.variable(where) is not None

    def place(self, where: tuple[str, ...]) -> str:
        """Return where this layer sets a key, for texts."""
        if self.kind is LayerKind.ENVIRONMENT:
            return f"environment: {self.variable(where)}"
        return f"{self.path or TEMPORARY_CHANGES}: {'.'.join(where)}"

    def variable(self, where: tuple[str, ...]) -> str | None:
        """Return the variable of a key, or of the key that holds it."""
        for length in range(len(where), 0, -1):
            if variable := self.variables.get(where[:length]):
                return variable
        return None

    def as_plain(self) -> dict[str, Any]:
        """Return this layer as JSON has it, with its secrets."""
        return {
            "kind": self.kind.value,
            "path": str(self.path) if self.path else None,
            "data": self.data,
            "variables": [[*where, name] for where, name in self.variables.items()],
        }

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any]) -> Layer:
        """Return the layer of `as_plain`."""
        return cls(
            kind=LayerKind(plain["kind"]),
            path=Path(plain["path"]) if plain["path"] else None,
            data=plain["data"],
            variables={tuple(where): name for *where, name in plain["variables"]},
        )


TEMPORARY_CHANGES = "changes until the next start"
"""What texts call the layer of changes that are not persisted."""


def merged(layers: Iterable[Layer]) -> dict[str, Any]:
    """Return the data of all layers: tables are merged key by key, and the last value of a key wins."""
    result: dict[str, Any] = {}
    for layer in layers:
        result = merged_tables(result, layer.data)
    return result


def merged_tables(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return two tables merged key by key; values of the second win."""
    result = dict(base)
    for key, value in over.items():
        inner = result.get(key)
        result[key] = merged_tables(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return result


def changes_of(layers: Iterable[Layer], kind: LayerKind) -> dict[str, Any]:
    """Return the changes of a kind, as nested tables."""
    return next((dict(each.data) for each in layers if each.kind is kind), {})


def origin(layers: Sequence[Layer], where: tuple[str, ...]) -> Layer | None:
    """Return the layer whose value of a key is in effect; None is the default."""
    return next(_setting(layers, where), None)


def place_of(layers: Sequence[Layer], where: tuple[str, ...]) -> str:
    """Return where a key is set, for error texts; a key that is set nowhere belongs into the first file."""
    return next(_setting(layers, where), layers[0]).place(where)


def overridden(layers: Sequence[Layer], keys: Iterable[str]) -> list[tuple[str, str]]:
    """Return each key of the first layer that a later one overrides, with the place of the value in effect."""
    first = layers[0]
    found = []
    for key in keys:
        where = tuple(key.split("."))
        if first.sets(where) and (layer := origin(layers, where)) is not None and layer is not first:
            found.append((key, layer.place(where)))
    return found


def _setting(layers: Sequence[Layer], where: tuple[str, ...]) -> Iterator[Layer]:
    return (layer for layer in reversed(layers) if layer.sets(where))
