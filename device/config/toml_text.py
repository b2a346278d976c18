"""Writes tables as TOML, which `tomllib` reads back unchanged. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(tables: Mapping[str, Any]) -> str:
    """Return TOML 1.0 of nested tables with texts, numbers, truth values and lists of them."""
    return "\n".join(_table((), tables)).lstrip("\n") + "\n"


def _table(place: tuple[str, ...], table: Mapping[str, Any]) -> list[str]:
    inner = {key: value for key, value in table.items() if isinstance(value, dict)}
    lines = [f"{_key(key)} = {value_text(value)}" for key, value in table.items() if key not in inner]
    if place and (lines or not inner):
        lines = ["", f"[{'.'.join(map(_key, place))}]", *lines]
    for key, value in inner.items():
        lines += _table((*place, key), value)
    return lines


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _quoted(key)


def value_text(value: object) -> str:
    """Return one value as TOML; a table in a value becomes an inline table."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(key)} = {value_text(each)}" for key, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    raise TypeError(f"cannot be written as TOML:  {type(value).__name__}")


def _quoted(text: str) -> str:
    # TOML has the escapes of JSON, and requires one more.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
