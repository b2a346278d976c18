"""Turns an error of pydantic into a problem: its place, what is wrong, what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from device.config.control import ControlRule
from device.config.environment import model_of, nearest
from device.config.layer import place_of
from device.config.night import Night
from device.config.places import DELIMITER, PREFIX
from device.config.schema import Config
from device.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pydantic import BaseModel

    from device.config.layer import Layer

_RULES = ("control", "allow")
NAME_OF_TABLE = "[key]"  # what pydantic puts for a dictionary's key


def where_of(details: Mapping[str, Any]) -> tuple[str, ...]:
    # Below the key there are list positions and branches of a union, which do not help the user.
    place = tuple(str(part) for part in details["loc"] if part != NAME_OF_TABLE)
    depth = depth_of(place)
    inside = place[depth:]
    if inside[:2] == ("night", "controls"):
        return place[: depth + 3]
    return place[: depth + 2] if inside[:1] in (("controls",), ("night",)) else place[: depth + 1]


def depth_of(place: tuple[str, ...]) -> int:
    """Return how many names of tables lead to a key."""
    return model_of(place[0])[1] if place and place[0] in Config.model_fields else 1


def problem(path: Path, details: Mapping[str, Any], layers: Sequence[Layer]) -> Problem:
    where = where_of(details)
    if not where:
        return Problem(str(path), _text(details))
    depth = depth_of(where)
    if where == _RULES and len(details["loc"]) > len(where):
        return Problem(place_of(layers, where), _rule_text(details))
    if details["type"] == "extra_forbidden":
        model: type[BaseModel] = Config if len(where) == 1 else model_of(where[0])[0]
        model = Night if where[depth:-1] == ("night",) else model
        what = "key" if len(where) > 1 else "table"
        return Problem(place_of(layers, where), f"there is no such {what}{nearest(where[-1], model.model_fields)}")
    if "controls" in where[depth:-1]:  # a control: a union, whose branches each have an error
        return Problem(place_of(layers, where), "must be true, false, a number, a text or a list of numbers")
    if details["type"] == "missing":
        variable = f"{PREFIX}{DELIMITER.join(where).upper()}"
        return Problem(place_of(layers, where), f"is required; set it in the file or by {variable}")
    return Problem(place_of(layers, where), _text(details))


def _rule_text(details: Mapping[str, Any]) -> str:
    """Return what is wrong with a rule: `loc` has its number and the key in it."""
    number, *inner = details["loc"][len(_RULES) :]
    key = str(inner[0]) if inner else ""
    text = _text(details)
    if details["type"] == "extra_forbidden":
        key, text = "", f"there is no such key{nearest(key, ControlRule.model_fields)}"
    elif details["type"] == "missing":
        text = "is required"
    return f"rule {int(number) + 1}: {key} {text}" if key else f"rule {int(number) + 1}: {text}"


_TEXTS = {
    "literal_error": "is not one of the allowed values; allowed: {expected}",
    "greater_than_equal": "is too small; allowed: {ge} or more",
    "less_than_equal": "is too large; allowed: {le} or less",
    "string_too_long": "is too long; allowed: {max_length} characters or fewer",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "too_long": "has too many entries; allowed: {max_length} or fewer",
    "string_type": "must be text in quotes",
    "list_type": "must be a list",
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
