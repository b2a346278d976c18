"""Finds, loads and checks the configuration, and reports all problems at once.

`loaded` is the one way in. The daemon lets a child process call it (`device.config.validation`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr, ValidationError

from device.config import remote_changes, schema
from device.config.effective import restored
from device.config.environment import Variables, unknown_variables
from device.config.layer import TEMPORARY_CHANGES, Layer, LayerKind, merged, origin
from device.config.layers import drop_ins, file_layer, read_layers, with_absolute_paths
from device.config.places import DEFAULT_PATH, PATH_VARIABLE
from device.config.problems import NAME_OF_TABLE, depth_of, problem, where_of
from device.config.schema_keys import described, keys
from device.config.table import CONTRADICTION
from device.errors import ConfigError, Problem
from device.secret_file import readable_by_others

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from device.config.effective import Config

_MAX_ROUNDS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A valid configuration, the layers it is made of, and what is odd about them but no error.

    checked: the configuration in the schema's form
    """

    config: Config
    checked: schema.Config
    layers: tuple[Layer, ...]
    warnings: tuple[Problem, ...]


def find(argument: Path | None) -> Path:
    """Return `--config`, else $DEVICE_CONFIG, else /etc/livekit-device/device.toml; `load` checks whether it exists."""
    return argument or Path(os.environ.get(PATH_VARIABLE) or DEFAULT_PATH)


def load(path: Path) -> Config:
    """Load the configuration. Raises ConfigError as `loaded` does."""
    return loaded(path).config


def loaded(
    path: Path, environment: Mapping[str, str] | None = None, *, temporary: Mapping[str, Any] | None = None
) -> Loaded:
    """Load the file and all other layers; `temporary` are changes of the running device that are in no file.

    Raises ConfigError, with every problem found, for a missing or unreadable file, TOML that does not parse,
    unknown keys, wrong types, values out of range and values that contradict each other.
    """
    files = read_layers(path, drop_ins(path), keys())
    return _with_other_layers(files, path, os.environ if environment is None else environment, temporary or {})


def of_layers(layers: Sequence[Layer]) -> Loaded:
    """Validate layers that were loaded before, some of them changed. Raises ConfigError as `loaded` does."""
    return _loaded(_validated(layers, ()), layers, ())


def validated(path: Path, content: dict[str, Any], *, target: Path | None = None) -> Config:
    """Return the configuration that there would be if a file had this content. Raises ConfigError as `loaded` does.

    path: the content's file, which texts name
    target: the file that gets the content, if it is another one; it decides which layers there are
    """
    target = target or path
    files = [file_layer(path, content, keys()), *read_layers(None, drop_ins(target), keys())]
    return _with_other_layers(files, target, os.environ, {}).config


def _with_other_layers(
    files: Sequence[Layer], path: Path, environment: Mapping[str, str], temporary: Mapping[str, Any]
) -> Loaded:
    """Add remote changes and the environment. Remote changes that do not fit are ignored: a file may be newer."""
    variables = Variables.of_environment(environment)
    data = with_absolute_paths(variables.data, path.parent, keys())
    last = Layer(kind=LayerKind.ENVIRONMENT, data=data, variables=variables.variables)
    warnings = [*unknown_variables(environment), *_exposed_secrets(files)]
    remote = [Layer(kind=LayerKind.TEMPORARY, data=temporary)] if temporary else []
    try:
        if persisted := remote_changes.layer(path, environment, described()):
            remote.insert(0, persisted)
    except ConfigError as error:
        warnings.append(_ignored(str(remote_changes.find(path, environment)), error))
    errors: dict[tuple[LayerKind, ...], ConfigError] = {}
    for chosen in (each for number in range(len(remote), -1, -1) for each in combinations(remote, number)):
        layers = (*files, *chosen, last)
        try:
            checked = _validated(layers, variables.problems)
        except ConfigError as error:
            if not chosen:
                raise
            errors[tuple(each.kind for each in chosen)] = error
        else:
            left = [each for each in remote if each not in chosen]
            whys = ((each, errors.get((each.kind,)) or errors[tuple(each.kind for each in remote)]) for each in left)
            warnings += [_ignored(str(each.path or TEMPORARY_CHANGES), why) for each, why in whys]
            return _loaded(checked, layers, warnings)
    raise AssertionError  # the last choice is none


def _ignored(place: str, error: ConfigError) -> Problem:
    """Return the warning about a layer that does not fit."""
    why = error.problems[0]
    text = why.message if why.place == place else str(why).removeprefix(f"{place}: ")
    return Problem(
        place, f"{text}; all remote changes {'' if place == TEMPORARY_CHANGES else 'in this file '}are ignored"
    )


def _loaded(checked: schema.Config, layers: Sequence[Layer], warnings: Sequence[Problem]) -> Loaded:
    return Loaded(config=effective(checked), checked=checked, layers=tuple(layers), warnings=tuple(warnings))


def effective(checked: schema.Config) -> Config:
    """Return a valid configuration in the form in which it is used."""
    return restored(plain(checked), described())


def plain(checked: schema.Config) -> dict[str, Any]:
    """Return a valid configuration as JSON has it, with its secrets."""
    return _plain(checked.model_dump())  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return {name: _plain(each) for name, each in value.items()} if isinstance(value, dict) else value


def _validated(layers: Sequence[Layer], found_before: Sequence[Problem]) -> schema.Config:
    data = merged(layers)
    path = layers[0].path
    assert path
    problems = [*found_before, *_type_problems(layers)]
    for round_number in range(_MAX_ROUNDS):
        try:
            config = schema.Config.model_validate(data)
        except ValidationError as error:
            # Contradictions are found only between values that are valid by themselves. Remove the invalid
            # values and validate again. A value that is missing then was invalid before, and streams or the keys of a
            # command that contradict each other then may do so because of a default.
            errors: list[dict[str, Any]] = [dict(details) for details in error.errors(include_url=False)]
            found = [
                problem(path, each, layers)
                for each in errors
                if not round_number or each["type"] not in ("missing", CONTRADICTION)
            ]
            pruned = _without(data, [each["loc"] for each in errors])
            new = [each for each in found if each not in problems]
            problems += new
            if not new or pruned == data:
                break
            data = pruned
        else:
            if problems:
                break
            return config
    raise ConfigError(*sorted(set(problems), key=lambda each: each.place))


def _exposed_secrets(files: Sequence[Layer]) -> list[Problem]:
    """Return a problem for each file with a secret that every user may read."""
    found = []
    for layer in files:
        table = layer.data.get("credentials")
        held = isinstance(table, dict) and table.get("api_secret")
        if layer.path and held and (mode := readable_by_others(layer.path)):
            text = f"is in a file that every user of this device can read (mode {mode})"
            found.append(
                Problem(layer.place(("credentials", "api_secret")), f"{text}; chmod 600 or use api_secret_file")
            )
    return found


def _type_problems(layers: Sequence[Layer]) -> list[Problem]:
    """Return wrong types in files and changes: TOML and JSON are typed, so a number in quotes is an error there."""
    found = []
    path = layers[0].path
    assert path
    for layer in layers:
        if layer.kind is LayerKind.ENVIRONMENT:
            continue
        try:
            schema.Config.model_validate(layer.data, strict=True)
        except ValidationError as error:
            found += [
                problem(layer.path or path, dict(details), layers)
                for details in error.errors(include_url=False)
                if details["type"].endswith("_type") and origin(layers, where_of(dict(details))) is layer
            ]
    return found


def _without(data: dict[str, Any], places: list[tuple[int | str, ...]]) -> dict[str, Any]:
    """Return the data without these keys; a table stays unless it is wrong as a whole, and [room] always does."""
    pruned = data
    for place in places:
        names = tuple(str(part) for part in place if part != NAME_OF_TABLE)
        names = names[: depth_of(names) + 1]
        if names and names != ("room",):
            pruned = _removed(pruned, names)
    return pruned


def _removed(data: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    inner = data.get(names[0])
    if len(names) > 1 and isinstance(inner, dict):
        return data | {names[0]: _removed(inner, names[1:])}
    return {key: value for key, value in data.items() if key != names[0]}
