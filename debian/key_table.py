"""The table of all keys in livekit-device.toml(5), from the schema: allowed values, default, change class, `set`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from device.config.marks import REMOTE
from device.config.schema_keys import class_of, keys
from device.config.toml_text import value_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

_SAME_KEYS = ("cameras.NAME.", "microphones.NAME.")  # those of [camera] and [microphone]
_TEXTS = {
    bool: "true, false",
    int: "whole number",
    float: "number",
    str: "text",
    SecretStr: "text",
    dict: "table",
    list: "list",
}


def rows() -> Iterator[tuple[str, str, str, str, str]]:
    """Yield each key with what is allowed, its default, what a change of it needs, and if `set` can change it."""
    for key, field in keys():
        if not key.startswith(_SAME_KEYS):
            yield key, _allowed(field), _default(field), class_of(key).value, "set" if REMOTE in field.metadata else ""


def _allowed(field: FieldInfo) -> str:
    kind = field.annotation
    if get_origin(kind) is Literal:
        return ", ".join(str(each) for each in get_args(kind))
    text = _TEXTS.get(get_origin(kind) or kind, "text")  # type: ignore[arg-type]
    least, most = _bound(field, "ge"), _bound(field, "le")
    return text if least is None else f"{least} to {most}"


def _bound(field: FieldInfo, name: str) -> float | None:
    return next((bound for each in field.metadata if (bound := getattr(each, name, None)) is not None), None)


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return "required"
    if isinstance(default, SecretStr):
        return '""'
    return value_text(default)


def table() -> str:
    """Return the table in the language of tbl(1)."""
    # Without what is allowed, which the texts above have too: a line of a terminal has 80 columns.
    lines = ["Key\tDefault\tA change needs\tBy", "_", *("\t".join((row[0], *row[2:])) for row in rows())]
    escaped = (line.replace("\\", "\\e").replace("-", "\\-") for line in lines)
    return ".TS\nl l l l.\n" + "\n".join(escaped) + "\n.TE\n"
