"""Compares two configurations: which keys changed, and what each change needs. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from device.config.effective import Config, Secret
from device.config.marks import ChangeClass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from device.config.marks import Key

_OFF = "off"  # a stream is added to the plan, or removed: the plan is made at the start
NAMED = ("cameras", "microphones", "commands")
"""Tables of tables, whose names the user chooses."""

__all__ = ["NAMED", "Change", "ChangeClass", "diff", "entries"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A key whose value differs.

    key: the key with its table, such as "camera.fps"; a table that was added or removed is one change, with its name
    old, new: the values; a value that may be secret is a `Secret`; such a table is its keys without defaults, or None
    """

    key: str
    needs: ChangeClass
    old: object
    new: object


def diff(old: Config, new: Config) -> tuple[Change, ...]:
    """Return each change between two configurations, sorted by key."""
    return tuple(sorted(_changes("", "", old, new, new), key=lambda change: change.key))


def entries(config: Config) -> Iterator[tuple[str, Key, object]]:
    """Yield each key of a configuration with its value, such as "cameras.garden.fps"."""
    for name, pattern, value in _entries("", "", config):
        yield name, config.keys[pattern], value


def _entries(table: str, pattern: str, values: object) -> Iterator[tuple[str, str, object]]:
    for name, value in _parts(values).items():
        key, key_pattern = f"{table}{name}", f"{pattern}{name}"
        if not table and name in NAMED:
            for each, inner in _named(value):
                yield from _entries(f"{key}.{each}.", f"{key_pattern}.NAME.", inner)
        elif _is_table(value):
            yield from _entries(f"{key}.", f"{key_pattern}.", value)
        else:
            yield key, key_pattern, value


def _changes(table: str, pattern: str, old: object, new: object, config: Config) -> Iterator[Change]:
    after = _parts(new)
    for name, before in _parts(old).items():
        key, key_pattern = f"{table}{name}", f"{pattern}{name}"
        if not table and name in NAMED:
            had, has = dict(_named(before)), dict(_named(after[name]))
            for each in sorted({*had, *has}):
                yield from _entry(f"{key}.{each}", f"{key_pattern}.NAME", had.get(each), has.get(each), config)
        else:
            yield from _entry(key, key_pattern, before, after[name], config)


def _entry(key: str, pattern: str, old: object, new: object, config: Config) -> Iterator[Change]:
    if _is_table(old) and _is_table(new):
        yield from _changes(f"{key}.", f"{pattern}.", old, new, config)
    elif not _same(old, new):
        needs = config.keys[pattern].needs
        if key.endswith(".source") and _OFF in (old, new):
            needs = ChangeClass.PROCESS_RESTART
        # The SDK's estimate of the link never exceeds the maximum of the publication (livekit 1.2.1, measured).
        if key.endswith(".bitrate_max_bps") and isinstance(old, int) and isinstance(new, int) and new > old:
            needs = ChangeClass.REJOIN
        before, after = (_shown(pattern, each, config) for each in (old, new))
        yield Change(key=key, needs=needs, old=before, new=after)


def _parts(table: object) -> dict[str, object]:
    """Return the values of a table by their keys."""
    assert is_dataclass(table)
    return {each.name: getattr(table, each.name) for each in fields(table) if each.compare}  # without `Config.keys`


def _named(value: object) -> Iterator[tuple[str, object]]:
    assert isinstance(value, dict)
    yield from value.items()


def _is_table(value: Any) -> bool:
    return is_dataclass(value) and not isinstance(value, Secret)


def _same(old: object, new: object) -> bool:
    """Return whether two values are equal in value and type: for libcamera, true is not 1."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_same(value, new[key]) for key, value in old.items())
    if isinstance(old, list | tuple) and isinstance(new, list | tuple):
        return len(old) == len(new) and all(map(_same, old, new))
    return type(old) is type(new) and old == new


def _shown(pattern: str, value: object, config: Config) -> object:
    """Return a value with its secrets masked; of a table the keys that are not at their default."""
    if not _is_table(value):
        return Secret(value) if config.keys[pattern].secret and isinstance(value, str) else value
    found = {}
    for name, each in _parts(value).items():
        shown, key = _shown(f"{pattern}.{name}", each, config), config.keys.get(f"{pattern}.{name}")
        plain = shown.get_secret_value() if isinstance(shown, Secret) else shown
        if plain != (key.default if key else {}):  # a table in the table is left out if it is empty
            found[name] = shown
    return found
