"""Reads the files of the configuration: the main one, and those in the folder beside it. Each is a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from device.config.layer import Layer
from device.config.toml_file import parsed, read, read_regular
from device.config.values import is_file_path
from device.errors import ConfigError, Problem, system_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from pydantic.fields import FieldInfo

_MAX_FILES = 64


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
