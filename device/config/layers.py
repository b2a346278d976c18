"""The layers of the configuration: the file, files beside it, remote changes, the environment. The last one wins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from device.config.toml_file import parsed, read, read_regular
from device.config.values import is_file_path
from device.errors import ConfigError, Problem, system_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pydantic.fields import FieldInfo

_MAX_FILES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """The tables and keys that one place sets.

    path: its file; None is the environment
    variables: the environment's variable of each key, by the names that lead to it
    """

    data: Mapping[str, Any] = field(repr=False)  # it may hold secrets
    path: Path | None = None
    variables: Mapping[tuple[str, ...], str] = field(default_factory=dict)

    def sets(self, where: tuple[str, ...]) -> bool:
        """Return whether this layer sets a key, or anything in a table."""
        found: object = self.data
        for name in where:
            if not isinstance(found, dict) or name not in found:
                return False
            found = found[name]
        return self.path is not None or self._variable(where) is not None

    def place(self, where: tuple[str, ...]) -> str:
        """Return where this layer sets a key, for texts."""
        if self.path is None:
            return f"environment: {self._variable(where)}"
        return f"{self.path}: {'.'.join(where)}"

    def _variable(self, where: tuple[str, ...]) -> str | None:
        """Return the variable of a key, or of the key that holds it."""
        for length in range(len(where), 0, -1):
            if variable := self.variables.get(where[:length]):
                return variable
        return None


def drop_ins(path: Path) -> list[Path]:
    """Return the files in the folder beside a configuration, `NAME.toml.d/*.toml`, in the order of their names.

    Hidden files and those with other names are ignored. Raises ConfigError for a folder that cannot be read.
    """
    folder = path.with_name(f"{path.name}.d")
    try:
        found = sorted(each for each in folder.iterdir() if each.suffix == ".toml" and not each.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(Problem(str(folder), f"cannot be read: {system_text(error)}")) from None
    if len(found) > _MAX_FILES:
        raise ConfigError(Problem(str(folder), f"has {len(found)} files; allowed: {_MAX_FILES} at most"))
    return found


def read_layers(main: Path | None, others: Sequence[Path], keys: Iterable[tuple[str, FieldInfo]]) -> list[Layer]:
    """Read the main file and others. `keys` are those of the schema.

    Raises ConfigError with the problem of each unusable file.
    """
    layers: list[Layer] = []
    problems: list[Problem] = []
    known = list(keys)
    for path in ((main,) if main else ()) + tuple(others):
        try:
            data = read(path) if path == main else read_regular(path)
            layers.append(file_layer(path, parsed(path, data), known))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*problems)
    return layers


def file_layer(path: Path, data: dict[str, Any], keys: Iterable[tuple[str, FieldInfo]]) -> Layer:
    """Return the layer of a file's content, whose relative paths are relative to the file's folder."""
    return Layer(path=path, data=with_absolute_paths(data, path.parent, keys))


def with_absolute_paths(data: Mapping[str, Any], folder: Path, keys: Iterable[tuple[str, FieldInfo]]) -> dict[str, Any]:
    """Return the data with absolute paths of files. A URL instead of a path stays, to be refused."""
    result = dict(data)
    for key, schema in keys:
        if is_file_path(schema):
            result = _resolved(result, tuple(key.split(".")), folder)
    return result


def _resolved(data: dict[str, Any], where: tuple[str, ...], folder: Path) -> dict[str, Any]:
    name, *rest = where
    names = list(data) if name == "NAME" else [name]  # a table whose name the user chooses
    for each in names:
        value = data.get(each)
        if rest and isinstance(value, dict):
            data = data | {each: _resolved(value, tuple(rest), folder)}
        elif not rest and isinstance(value, str) and value and not _is_url(value):
            data = data | {each: str(folder.absolute() / value)}
    return data


def _is_url(value: str) -> bool:
    return "://" in value or value.lower().startswith("file:")


def merged(layers: Iterable[Layer]) -> dict[str, Any]:
    """Return the data of all layers: tables are merged key by key, and the last value of a key wins."""
    result: dict[str, Any] = {}
    for layer in layers:
        result = _merged(result, layer.data)
    return result


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        inner = result.get(key)
        result[key] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return result


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
