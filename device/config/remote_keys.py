"""Which keys may be changed while the device runs, by any caller: those that the schema marks `REMOTE`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from device.config.marks import Key


def key_at(where: tuple[str, ...], keys: Mapping[str, Key]) -> str | None:
    """Return the schema's name of the key that holds a value, such as "cameras.NAME.controls"; None: there is none."""
    names = (where[0], "NAME", *where[2:]) if len(where) > 1 and f"{where[0]}.NAME" in keys else where
    for length in (len(names), len(names) - 1):
        key = keys.get(".".join(names[:length]))
        if key is not None and (length == len(names) or isinstance(key.default, dict)):
            return ".".join(names[:length])
    return None


def is_remote(where: tuple[str, ...], keys: Mapping[str, Key]) -> bool:
    """Return whether a value may be changed while the device runs."""
    key = key_at(where, keys)
    return key is not None and keys[key].remote


def remote_keys(keys: Mapping[str, Key]) -> list[str]:
    """Return the keys that may be changed, for texts; those of named cameras and microphones are the same."""
    return [
        f"{name}.NAME" if isinstance(key.default, dict) else name
        for name, key in keys.items()
        if key.remote and ".NAME." not in name
    ]


def leaves(tables: Mapping[str, Any], place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield each value in nested tables with the names that lead to it."""
    for name, value in tables.items():
        if isinstance(value, dict):
            yield from leaves(value, (*place, name))
        else:
            yield (*place, name), value


def nested(where: tuple[str, ...], value: object) -> dict[str, Any]:
    """Return the tables with one value."""
    for name in reversed(where):
        value = {name: value}
    assert isinstance(value, dict)
    return value


def without(tables: Mapping[str, Any], where: tuple[str, ...]) -> dict[str, Any]:
    """Return tables without one value, and without tables that are empty then."""
    name, *rest = where
    inner = tables.get(name)
    others = {key: value for key, value in tables.items() if key != name}
    if not rest or not isinstance(inner, dict):
        return others
    left = without(inner, tuple(rest))
    return {key: left if key == name else value for key, value in tables.items()} if left else others
