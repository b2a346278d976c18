"""The keys of the schema, and what it says about each. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args, get_origin

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from device.config.marks import REMOTE, SECRET, ChangeClass, Key
from device.config.schema import Config
from device.config.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo


def class_of(key: str) -> ChangeClass:
    """Return what a change of a key needs: "camera.fps", or "camera.controls.AeEnable". KeyError: no such key."""
    model: type[Table] = Config
    parts = key.split(".")
    while parts:
        field = model.model_fields.get(parts.pop(0))
        if field is None:
            break
        if parts and (inner := table_of(field)):
            model = inner
        elif len(parts) > 1 and (inner := tables_of(field)):
            parts.pop(0)  # the table's name, which the user chooses
            model = inner
        elif (needs := _class(field)) is not None and (not parts or get_origin(field.annotation) is dict):
            return needs
        else:
            break
    raise KeyError(key)


def keys(model: type[Table] = Config, table: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield each key of the schema with its table; a table whose name the user chooses is NAME."""
    for name, field in model.model_fields.items():
        if inner := table_of(field):
            yield from keys(inner, f"{table}{name}.")
        elif inner := tables_of(field):
            yield f"{table}{name}.NAME", field
            yield from keys(inner, f"{table}{name}.NAME.")
        else:
            yield f"{table}{name}", field


def described() -> dict[str, Key]:
    """Return what the schema says about each key, as plain data."""
    return {key: _described(field) for key, field in keys()}


def _described(field: FieldInfo) -> Key:
    default = field.get_default(call_default_factory=True)
    secret = isinstance(default, SecretStr)
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    return Key(
        # A key without a class fails a test; it is never applied as less than it may need.
        needs=_class(field) or ChangeClass.PROCESS_RESTART,
        secret=secret or SECRET in field.metadata,
        remote=REMOTE in field.metadata,
        default=None if default is PydanticUndefined else default,
    )


def table_of(field: FieldInfo) -> type[Table] | None:
    """Return the model of a field that is a table."""
    if get_origin(field.annotation) in (dict, list):  # of tables
        return None
    for each in (field.annotation, *get_args(field.annotation)):
        if isinstance(each, type) and issubclass(each, Table):
            return each
    return None


def tables_of(field: FieldInfo) -> type[Table] | None:
    """Return the model of a field that is a table of tables, such as [cameras.NAME]."""
    inner = get_args(field.annotation)[-1:] if get_origin(field.annotation) is dict else ()
    return inner[0] if inner and isinstance(inner[0], type) and issubclass(inner[0], Table) else None


def _class(field: FieldInfo) -> ChangeClass | None:
    found = [mark for mark in field.metadata if isinstance(mark, ChangeClass)]
    return found[0] if len(found) == 1 else None
