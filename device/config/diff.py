"""Compares two configurations: which keys changed, and what each change needs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args, get_origin

from pydantic import SecretStr

from device.config.marks import SECRET, ChangeClass
from device.config.schema import Config
from device.config.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

_OFF = "off"  # a stream is added to the plan, or removed: the plan is made at the start

__all__ = ["Change", "ChangeClass", "class_of", "diff", "entries", "is_secret", "keys", "table_of", "tables_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A key whose value differs.

    key: the key with its table, such as "camera.fps"; a table that was added or removed is one change, with its name
    old, new: the values; a value that may be secret is a `SecretStr`; None is a table that is not there
    """

    key: str
    needs: ChangeClass
    old: object
    new: object


def diff(old: Config, new: Config) -> tuple[Change, ...]:
    """Return each change between two configurations, sorted by key."""
    return tuple(sorted(_changes("", old, new), key=lambda change: change.key))


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


def entries(config: Config) -> Iterator[tuple[str, FieldInfo, object]]:
    """Yield each key of a configuration with its value, such as "cameras.garden.fps"."""
    yield from _entries("", config)


def is_secret(field: FieldInfo, value: object) -> bool:
    """Return whether a value may be a secret."""
    return isinstance(value, SecretStr) or SECRET in field.metadata


def _entries(table: str, model: Table) -> Iterator[tuple[str, FieldInfo, object]]:
    for name, field in type(model).model_fields.items():
        key, value = f"{table}{name}", getattr(model, name)
        if isinstance(value, Table):
            yield from _entries(f"{key}.", value)
        elif tables_of(field):
            for each, inner in value.items():
                yield from _entries(f"{key}.{each}.", inner)
        else:
            yield key, field, value


def table_of(field: FieldInfo) -> type[Table] | None:
    """Return the model of a field that is a table."""
    for each in (field.annotation, *get_args(field.annotation)):
        if get_origin(field.annotation) is not dict and isinstance(each, type) and issubclass(each, Table):
            return each
    return None


def tables_of(field: FieldInfo) -> type[Table] | None:
    """Return the model of a field that is a table of tables, such as [cameras.NAME]."""
    inner = get_args(field.annotation)[-1:] if get_origin(field.annotation) is dict else ()
    return inner[0] if inner and isinstance(inner[0], type) and issubclass(inner[0], Table) else None


def _class(field: FieldInfo) -> ChangeClass | None:
    found = [mark for mark in field.metadata if isinstance(mark, ChangeClass)]
    return found[0] if len(found) == 1 else None


def _changes(table: str, old: Table, new: Table) -> Iterator[Change]:
    for name, field in type(old).model_fields.items():
        key, before, after = f"{table}{name}", getattr(old, name), getattr(new, name)
        if isinstance(before, Table) and isinstance(after, Table):
            yield from _changes(f"{key}.", before, after)
        elif tables_of(field):
            for each in sorted({*before, *after}):
                yield from _entry(f"{key}.{each}", field, before.get(each), after.get(each))
        else:
            yield from _entry(key, field, before, after)


def _entry(key: str, field: FieldInfo, old: object, new: object) -> Iterator[Change]:
    if isinstance(old, Table) and isinstance(new, Table):
        yield from _changes(f"{key}.", old, new)
    elif not _same(old, new):
        # A key without a class fails a test; it is never applied as less than it may need.
        needs = _class(field) or ChangeClass.PROCESS_RESTART
        if key.endswith(".source") and _OFF in (old, new):
            needs = ChangeClass.PROCESS_RESTART
        # The SDK's estimate of the link never exceeds the maximum of the publication (livekit 1.2.1, measured).
        if key.endswith(".bitrate_max_bps") and isinstance(old, int) and isinstance(new, int) and new > old:
            needs = ChangeClass.REJOIN
        yield Change(key=key, needs=needs, old=_masked(field, old), new=_masked(field, new))


def _same(old: object, new: object) -> bool:
    """Return whether two values are equal in value and type: for libcamera, true is not 1."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_same(value, new[key]) for key, value in old.items())
    if isinstance(old, list | tuple) and isinstance(new, list | tuple):
        return len(old) == len(new) and all(map(_same, old, new))
    return type(old) is type(new) and old == new


def _masked(field: FieldInfo, value: object) -> object:
    return SecretStr(value) if SECRET in field.metadata and isinstance(value, str) else value
