"""Finds, loads and checks the configuration, and reports all problems at once."""

from __future__ import annotations

import codecs
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from device.config.environment import INNER, Overrides, model_of, nearest, unknown_variables
from device.config.places import DEFAULT_PATH, DELIMITER, PATH_VARIABLE, PREFIX
from device.config.schema import Config
from device.config.streams import CONTRADICTION
from device.errors import ConfigError, Problem
from device.secret_file import readable_by_others

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_ROUNDS = 8
_NAME_OF_TABLE = "[key]"  # pydantic's mark in the place of a dictionary's key
_TYPOGRAPHIC = "\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb"


def find(argument: Path | None) -> Path:
    """Return `--config`, else $DEVICE_CONFIG, else /etc/livekit-device/device.toml; `load` checks whether it exists."""
    return argument or Path(os.environ.get(PATH_VARIABLE) or DEFAULT_PATH)


def load(path: Path) -> Config:
    """Load the file and the environment's overrides.

    Raises ConfigError, with every problem found, for a missing or unreadable file, TOML that does not parse,
    unknown keys, wrong types, values out of range and values that contradict each other.
    """
    return validated(path, parsed(path, _read(path)))


def validated(path: Path, from_file: dict[str, Any]) -> Config:
    """Return the configuration of a file's content and the environment. Raises ConfigError as `load` does."""
    overrides = Overrides.of_environment()
    data = _merged(from_file, overrides.data)
    problems = [*overrides.problems, *_type_problems(path, from_file, overrides)]
    for round_number in range(_MAX_ROUNDS):
        try:
            config = Config.model_validate(data)
        except ValidationError as error:
            # Contradictions are found only between values that are valid by themselves. Remove the invalid
            # values and validate again. A value that is missing then was invalid before, and streams that contradict
            # each other then may do so because of a default.
            errors: list[dict[str, Any]] = [dict(details) for details in error.errors(include_url=False)]
            found = [
                _problem(path, each, overrides)
                for each in errors
                if not round_number or each["type"] not in ("missing", CONTRADICTION)
            ]
            pruned = _without(data, [each["loc"] for each in errors])
            new = [problem for problem in found if problem not in problems]
            problems += new
            if not new or pruned == data:
                break
            data = pruned
        else:
            if problems:
                break
            return _absolute(config, path.parent)
    raise ConfigError(*sorted(set(problems), key=lambda problem: problem.place))


def warnings(path: Path, config: Config) -> list[Problem]:
    """Return the problems that are not errors: unknown variables, and a secret that every user may read."""
    found = unknown_variables()
    secret, mode = config.credentials.api_secret.get_secret_value(), readable_by_others(path)
    if secret and mode and parsed(path, _read(path)).get("credentials", {}).get("api_secret"):
        found.append(
            Problem(
                f"{path}: credentials.api_secret",
                f"is in a file that every user of this device can read (mode {mode}); chmod 600 or use api_secret_file",
            )
        )
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            Problem(
                str(path),
                f"there is no such file; name one with --config or ${PATH_VARIABLE}, or put it at {DEFAULT_PATH}",
            )
        ) from None
    except OSError as error:
        raise ConfigError(Problem(str(path), f"cannot be read: {error.strerror}")) from None


def parsed(path: Path, data: bytes) -> dict[str, Any]:
    """Return the tables of TOML text, with or without a byte order mark. Raises ConfigError that names the path."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ConfigError(Problem(str(path), "is UTF-16 text, as some editors of Windows save it; save it as UTF-8"))
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            Problem(str(path), f"is not UTF-8 text (byte {error.start}, in line {line}); save it as UTF-8")
        ) from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(Problem(str(path), f"is not valid TOML: {error}{_typography(text, str(error))}")) from None
    except RecursionError:
        raise ConfigError(Problem(str(path), "is not valid TOML: it is nested too deeply")) from None


def _typography(text: str, complaint: str) -> str:
    """Return where a typographic quote is in the line of a TOML error, as word processors insert them."""
    match = re.search(r"at line (\d+)", complaint)
    lines = text.rstrip().split("\n")
    number = int(match[1]) if match else len(lines)
    for column, character in enumerate(lines[number - 1], start=1) if number <= len(lines) else ():
        if character in _TYPOGRAPHIC:
            place = f"line {number}, column {column}"
            return f'; {place} is a typographic quote ({character}); allowed are straight ones (")'
    return ""


def _type_problems(path: Path, from_file: dict[str, Any], overrides: Overrides) -> list[Problem]:
    """Return wrong types in the file: TOML is typed, so a number in quotes is an error there."""
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
    # Below the key there are list positions and branches of a union, which do not help the user.
    place = tuple(str(part) for part in details["loc"] if part != _NAME_OF_TABLE)
    depth = _depth(place)
    return place[: depth + 2] if place[depth : depth + 1] in [(each,) for each in INNER] else place[: depth + 1]


def _depth(place: tuple[str, ...]) -> int:
    """Return how many names of tables lead to a key."""
    return model_of(place[0])[1] if place and place[0] in Config.model_fields else 1


def _problem(path: Path, details: dict[str, Any], overrides: Overrides) -> Problem:
    where = _where(details)
    if not where:
        return Problem(str(path), _text(details))
    depth = _depth(where)
    if details["type"] == "extra_forbidden":
        model: type[BaseModel] = Config if len(where) == 1 else model_of(where[0])[0]
        what = "key" if len(where) > 1 else "table"
        return Problem(overrides.place(path, where), f"there is no such {what}{nearest(where[-1], model.model_fields)}")
    if len(where) > depth + 1:  # a control: a union, whose branches each have an error
        return Problem(overrides.place(path, where), "must be true, false, a number, a text or a list of numbers")
    if details["type"] == "missing":
        variable = f"{PREFIX}{DELIMITER.join(where).upper()}"
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
    """Return what is wrong, without the value itself, which may be a secret in the wrong key."""
    if (template := _TEXTS.get(details["type"])) is not None:
        return template.format(**details.get("ctx", {}))
    return str(details["msg"]).removeprefix("Value error, ")


def _merged(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        inner = result.get(key)
        both = isinstance(inner, dict) and isinstance(value, dict)
        result[key] = _merged(inner, value) if both and isinstance(inner, dict) else value
    return result


def _without(data: dict[str, Any], places: list[tuple[int | str, ...]]) -> dict[str, Any]:
    """Return the data without these keys; a table stays unless it is wrong as a whole, and [room] always does."""
    pruned = _merged(data, {})
    for place in places:
        names = tuple(str(part) for part in place if part != _NAME_OF_TABLE)
        names = names[: _depth(names) + 1]
        if names and names != ("room",):
            pruned = _removed(pruned, names)
    return pruned


def _removed(data: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    inner = data.get(names[0])
    if len(names) > 1 and isinstance(inner, dict):
        return data | {names[0]: _removed(inner, names[1:])}
    return {key: value for key, value in data.items() if key != names[0]}


def _absolute(config: Config, folder: Path) -> Config:
    """Return the configuration with absolute paths: paths in the file are relative to the file's folder."""

    def resolved(table: BaseModel, *keys: str) -> dict[str, str]:
        return {key: str(folder.absolute() / value) for key in keys if (value := getattr(table, key))}

    return config.model_copy(
        update={
            "credentials": config.credentials.model_copy(
                update=resolved(config.credentials, "token_file", "endpoint_headers_file", "api_secret_file")
            ),
            "camera": config.camera.model_copy(update=resolved(config.camera, "path")),
            "microphone": config.microphone.model_copy(update=resolved(config.microphone, "path")),
            "cameras": {name: each.model_copy(update=resolved(each, "path")) for name, each in config.cameras.items()},
            "microphones": {
                name: each.model_copy(update=resolved(each, "path")) for name, each in config.microphones.items()
            },
        }
    )
