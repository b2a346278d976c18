"""The configuration's layer from the environment: DEVICE_<TABLE>__<KEY>, from shells and Docker's env files."""

from __future__ import annotations

import difflib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from device.config.places import DELIMITER, PATH_VARIABLE, PREFIX
from device.config.schema import Config
from device.config.schema_keys import table_of, tables_of
from device.config.table import Table
from device.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXAMPLES = {  # of values that are JSON: tables in a table, and a list of tables
    "controls": '{"AeEnable": true}',
    "night": '{"enabled": true, "fps": 10}',
    "arguments": '{"state": ["on", "off"]}',
    "allow": '[{"identity": "ops-*", "operations": ["status"]}]',
}
_QUOTES = ('"', "'")


class _EnvironmentConfig(BaseSettings, Config):
    """The same tables and keys, for pydantic-settings, which reads the environment."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter=DELIMITER)


@dataclass(frozen=True, slots=True)
class Variables:
    """The values from the environment as nested data, and the variable of each key by the names that lead to it."""

    data: dict[str, Any]
    variables: dict[tuple[str, ...], str]
    problems: list[Problem]

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Variables:
        """Read the variables. An empty variable counts as not set; quotes around a value are removed."""
        values = {
            name: value
            for name, text in environment.items()
            if name.upper().startswith(PREFIX) and (value := _unquoted(text))
        }
        variables = {
            tuple(name[len(PREFIX) :].lower().split(DELIMITER)): name
            for name in values
            if DELIMITER in name[len(PREFIX) :]
        }
        refused = {name: why for where, name in variables.items() if (why := _refusal(where, values[name]))}
        refused |= {
            f"{PREFIX}{table.upper()}": f"sets a whole table; set single keys, {_pattern(table)}<KEY>"
            for table in Config.model_fields
            if f"{PREFIX}{table}".lower() in {name.lower() for name in values}
        }
        source = EnvSettingsSource(_EnvironmentConfig)
        hidden = {name.lower() for name in refused}
        source.env_vars = {name.lower(): value for name, value in values.items() if name.lower() not in hidden}
        problems = [Problem(f"environment: {name}", why) for name, why in refused.items()]
        return cls(data=source(), variables=variables, problems=problems)


def unknown_variables(environment: Mapping[str, str] = os.environ) -> list[Problem]:
    """Return a problem for each unknown variable with our prefix. It is no error: other software may use the prefix."""
    known = {name.lower(): name for name in _known_variables()}
    tables = {f"{PREFIX}{table}".lower() for table in Config.model_fields}
    found = []
    for name in sorted(environment):
        if not name.upper().startswith(PREFIX) or name.lower() in known or name.lower() in tables:
            continue
        if DELIMITER in name[len(PREFIX) :]:  # `Overrides.problems` has it, as an error
            continue
        found.append(
            Problem(f"environment: {name}", f"is not a variable of livekit-device and is ignored{_meant(name, known)}")
        )
    return found


def _meant(name: str, known: Mapping[str, str]) -> str:
    for table in Config.model_fields:
        if model_of(table)[1] > 1 and name.upper().startswith(f"{PREFIX}{table}_".upper()):
            return f"; did you mean {_pattern(table)}<KEY>?"
    close = difflib.get_close_matches(name.lower().replace(DELIMITER, "_"), _spellings(known), n=1, cutoff=0.6)
    return f"; did you mean {known[_spellings(known)[close[0]]]}?" if close else ""


def model_of(table: str) -> tuple[type[Table], int]:
    """Return the model of a table, and how many names lead to its keys: 1, or 2 for tables such as [cameras.NAME]."""
    field = Config.model_fields[table]
    if inner := tables_of(field):
        return inner, 2
    return table_of(field) or Table, 1  # the user chooses the keys of [sounds]


def nearest(name: str, known: Mapping[str, object]) -> str:
    """Return a suggestion for an unknown name."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(known)}"


def _spellings(known: Mapping[str, str]) -> dict[str, str]:
    """Return each known variable by its name with single underscores, a common mistake."""
    return {name.replace(DELIMITER, "_"): name for name in known}


def _known_variables() -> list[str]:
    names = [PATH_VARIABLE]
    for table in Config.model_fields:
        model, _ = model_of(table)
        names += [f"{_pattern(table)}{key}".upper() for key in model.model_fields]
    return names


def _pattern(table: str) -> str:
    """Return the name of a variable up to its key."""
    _, depth = model_of(table)
    named = f"{PREFIX}{table.upper()}{DELIMITER}"
    return named if depth == 1 else f"{named}<NAME>{DELIMITER}"


def _unquoted(text: str) -> str:
    """Return a value without surrounding white space and quotes, which Docker's env files keep."""
    value = text.strip()
    for quote in _QUOTES:
        if len(value) > 1 and value.startswith(quote) and value.endswith(quote):
            return value[1:-1].strip()
    return value


def _refusal(where: tuple[str, ...], value: str) -> str:
    """Return why a variable cannot override this key; empty if it can."""
    if where[0] not in Config.model_fields:
        return f"there is no table [{where[0]}]{nearest(where[0], Config.model_fields)}"
    model, depth = model_of(where[0])
    if len(where) <= depth:
        name = f"{PREFIX}{DELIMITER.join(where)}".upper()
        return f"sets a whole table; set single keys, {name}{DELIMITER}<KEY>"
    if len(where) > depth + 1:
        name = f"{PREFIX}{DELIMITER.join(where[:-1])}".upper()
        return f"has no variable of its own; set the table as JSON, such as {name}={_EXAMPLES.get(where[-2], '{}')}"
    if where[-1] in _EXAMPLES and where[-1] in model.model_fields:
        try:
            json.loads(value)
        except ValueError:
            return f"is not JSON; it must look like {_EXAMPLES[where[-1]]}"
    return ""
