"""Finds, loads and judges the configuration, and says all that is wrong with it at once."""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from device.config import Config
from device.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PATH = Path("/etc/livekit-device/device.toml")
PATH_VARIABLE = "DEVICE_CONFIG"

ENV_PREFIX = "DEVICE_"
ENV_DELIMITER = "__"

_MAX_ROUNDS = 8
_CONTROLS = ("camera", "controls")


class _EnvironmentConfig(BaseSettings, Config):
    """The same tables and keys, as pydantic-settings looks for them in the environment."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter=ENV_DELIMITER)


def find(argument: Path | None) -> Path:
    """`--config`, then $DEVICE_CONFIG, then /etc/livekit-device/device.toml; whether it exists is for `load`."""
    return argument or Path(os.environ.get(PATH_VARIABLE) or DEFAULT_PATH)


def load(path: Path) -> Config:
    """Load the file and the environment's overrides.

    Raises ConfigError, with every problem found, for a missing or unreadable file, TOML that does not parse,
    unknown keys, wrong types, values out of range and values that contradict each other.
    """
    from_file = _read(path)
    overrides = _Overrides.of_environment()
    data = _merged(from_file, overrides.data)
    problems = [*overrides.problems, *_strangers(path, from_file, overrides)]
    for round_number in range(_MAX_ROUNDS):
        try:
            config = Config.model_validate(data)
        except ValidationError as error:
            # A contradiction shows only between values that are valid by themselves: leave out what is
            # wrong, and look again. What is missing then was wrong before.
            errors: list[dict[str, Any]] = [dict(details) for details in error.errors(include_url=False)]
            found = [
                _problem(path, each, overrides) for each in errors if not round_number or each["type"] != "missing"
            ]
            pruned = _without(data, [each["loc"] for each in errors])
            fresh = [problem for problem in found if problem not in problems]
            problems += fresh
            if not fresh or pruned == data:
                break
            data = pruned
        else:
            if problems:
                break
            return _absolute(config, path.parent)
    raise ConfigError(*sorted(set(problems), key=lambda problem: problem.place))


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        raise ConfigError(
            Problem(
                str(path),
                f"there is no such file; name one with --config or ${PATH_VARIABLE}, or put it at {DEFAULT_PATH}",
            )
        ) from None
    except OSError as error:
        raise ConfigError(Problem(str(path), f"cannot be read: {error.strerror}")) from None
    except UnicodeDecodeError as error:
        raise ConfigError(Problem(str(path), f"is not UTF-8 text (byte {error.start})")) from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(Problem(str(path), f"is not valid TOML: {error}")) from None


def _refusal(where: tuple[str, ...], value: str) -> str:
    """Say why a variable cannot override this place; empty where it can."""
    if where[0] not in Config.model_fields:
        return f"there is no table [{where[0]}]{_nearest(where[0], Config.model_fields)}"
    if len(where) > 2:  # table and key  # noqa: PLR2004
        return 'names below a key lose their case; set them as JSON, such as DEVICE_CAMERA__CONTROLS={"AeEnable": true}'
    if where == _CONTROLS:
        try:
            json.loads(value)
        except ValueError:
            return 'is not JSON; it must look like {"AeEnable": true}'
    return ""


@dataclass(frozen=True, slots=True)
class _Overrides:
    """What the environment sets: nested data, and the variable behind each (table, key)."""

    data: dict[str, Any]
    variables: dict[tuple[str, ...], str]
    problems: list[Problem]

    @classmethod
    def of_environment(cls) -> _Overrides:
        variables = {
            tuple(name[len(ENV_PREFIX) :].lower().split(ENV_DELIMITER)): name
            for name in os.environ
            if name.upper().startswith(ENV_PREFIX) and ENV_DELIMITER in name[len(ENV_PREFIX) :]
        }
        refused = {name: why for where, name in variables.items() if (why := _refusal(where, os.environ[name]))}
        refused |= {
            f"{ENV_PREFIX}{table.upper()}": f"sets a whole table; set single keys, {ENV_PREFIX}{table.upper()}__<KEY>"
            for table in Config.model_fields
            if f"{ENV_PREFIX}{table}".lower() in {name.lower() for name in os.environ}
        }
        source = EnvSettingsSource(_EnvironmentConfig)
        hidden = {name.lower() for name in refused}
        source.env_vars = {name: value for name, value in source.env_vars.items() if name.lower() not in hidden}
        problems = [Problem(f"environment: {name}", why) for name, why in refused.items()]
        data = source()
        return cls(data=data, variables=variables, problems=problems)

    def place(self, path: Path, where: tuple[str, ...]) -> str:
        variable = self.variables.get(tuple(part.lower() for part in where))
        return f"environment: {variable}" if variable else f"{path}: {'.'.join(where)}"


def _strangers(path: Path, from_file: dict[str, Any], overrides: _Overrides) -> list[Problem]:
    """Wrong types in the file: TOML has types of its own, so a number in quotes is a mistake there."""
    try:
        Config.model_validate(from_file, strict=True)
    except ValidationError as error:
        return [
            _problem(path, dict(details), overrides)
            for details in error.errors(include_url=False)
            if details["type"].endswith("_type") and _where(dict(details)) not in overrides.variables
        ]
    return []


def _where(details: Mapping[str, Any]) -> tuple[str, ...]:
    # Below the key stand list positions and the branches of a union: of no use to who wrote the file.
    depth = 3 if details["loc"][:2] == _CONTROLS else 2
    return tuple(str(part) for part in details["loc"][:depth])


def _problem(path: Path, details: dict[str, Any], overrides: _Overrides) -> Problem:
    where = _where(details)
    if not where:
        return Problem(str(path), _text(details))
    model: type[BaseModel] = Config
    if details["type"] == "extra_forbidden":
        for part in where[:-1]:
            inner = model.model_fields[part].annotation
            assert isinstance(inner, type)
            assert issubclass(inner, BaseModel)
            model = inner
        what = "key" if len(where) > 1 else "table"
        return Problem(
            overrides.place(path, where), f"there is no such {what}{_nearest(where[-1], model.model_fields)}"
        )
    if where[:-1] == _CONTROLS:  # the branches of a union, each with its own complaint
        return Problem(overrides.place(path, where), "must be true, false, a number, a text or a list of numbers")
    if details["type"] == "missing":
        variable = f"{ENV_PREFIX}{ENV_DELIMITER.join(where).upper()}"
        return Problem(overrides.place(path, where), f"is required; set it in the file or by {variable}")
    return Problem(overrides.place(path, where), _text(details))


_TEXTS = {
    "literal_error": "is not one of the allowed values; allowed: {expected}",
    "greater_than_equal": "is too small; allowed: {ge} or more",
    "less_than_equal": "is too large; allowed: {le} or less",
    "string_too_long": "is too long; allowed: {max_length} characters or fewer",
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "dict_type": "must be a table",
    "model_type": "must be a table",
}


def _text(details: Mapping[str, Any]) -> str:
    """Say what is wrong, never with the value itself: it may be a secret in the wrong place."""
    if (template := _TEXTS.get(details["type"])) is not None:
        return template.format(**details.get("ctx", {}))
    return str(details["msg"]).removeprefix("Value error, ")


def _nearest(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(known)}"


def _merged(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        inner = result.get(key)
        both = isinstance(inner, dict) and isinstance(value, dict)
        result[key] = _merged(inner, value) if both and isinstance(inner, dict) else value
    return result


def _without(data: dict[str, Any], places: list[tuple[int | str, ...]]) -> dict[str, Any]:
    pruned = _merged(data, {})
    for table, *rest in (place for place in places if place):
        inner = pruned.get(str(table))
        if rest and isinstance(inner, dict):
            pruned[str(table)] = {key: value for key, value in inner.items() if key != rest[0]}
        elif table != "room":
            pruned.pop(str(table), None)
    return pruned


def _absolute(config: Config, folder: Path) -> Config:
    """Paths in the file are relative to the file, not to where the daemon was started."""

    def resolved(table: BaseModel, *keys: str) -> dict[str, str]:
        return {key: str(folder.absolute() / value) for key in keys if (value := getattr(table, key))}

    return config.model_copy(
        update={
            "credentials": config.credentials.model_copy(
                update=resolved(config.credentials, "token_file", "endpoint_headers_file", "api_secret_file")
            ),
            "camera": config.camera.model_copy(update=resolved(config.camera, "path")),
            "microphone": config.microphone.model_copy(update=resolved(config.microphone, "path")),
        }
    )
