"""A change of single keys of the running configuration, by any interface: what it makes of the layers. Pure."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from device.config.layer import TEMPORARY_CHANGES, Layer, LayerKind, changes_of, merged_tables, origin
from device.config.marks import ChangeClass
from device.config.remote_keys import is_remote, key_at, leaves, nested, remote_keys, without
from device.errors import CallError
from device.printable import printable
from device.reload.decision import stream_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from device.config.effective import Config
    from device.errors import ConfigError
    from device.reload.decision import Decision

UNCHANGED = "unchanged"
_LIVE, _RESTART = "applied live", str(ChangeClass.WORKER_RESTART.value)
_OURS = (LayerKind.REMOTE, LayerKind.TEMPORARY)
_MAX_VALUES = 200  # of all changes together
_MAX_PROBLEMS, _MAX_SHOWN = 5, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """New values by dotted keys, such as "camera.fps"; or `reset`, which removes all earlier changes.

    persist: the values outlive a restart
    """

    values: Mapping[str, object] = field(default_factory=dict)
    persist: bool = False
    reset: bool = False


def edited(config: Config, layers: Sequence[Layer], edit: Edit, file: Path | None) -> tuple[Layer, ...]:
    """Return the layers with an edit. `file` holds persisted changes.

    Raises CallError for keys that are not allowed, or that the environment sets.
    """
    persisted, temporary = changes_of(layers, LayerKind.REMOTE), changes_of(layers, LayerKind.TEMPORARY)
    if edit.reset:
        persisted, temporary = {}, {}
    if problems := [text for key in edit.values if (text := _problem(key, config, layers))]:
        raise CallError(_joined(problems))
    for key, value in edit.values.items():
        where = tuple(key.split("."))
        temporary = without(temporary, where)
        if edit.persist:
            persisted = merged_tables(persisted, nested(where, value))
        else:
            temporary = merged_tables(temporary, nested(where, value))
    if len([*leaves(persisted), *leaves(temporary)]) > _MAX_VALUES:
        raise CallError(f"more than {_MAX_VALUES} values are changed; `reset` removes all changes")
    files, last = [each for each in layers if each.kind is LayerKind.FILE], layers[-1]
    if persisted:
        files.append(Layer(kind=LayerKind.REMOTE, path=file, data=persisted))
    if temporary:
        files.append(Layer(kind=LayerKind.TEMPORARY, data=temporary))
    return (*files, last)


def changed_keys(layers: Iterable[Layer]) -> list[str]:
    """Return the keys that were changed since the last reset."""
    found = {".".join(where): None for each in layers if each.kind in _OURS for where, _ in leaves(each.data)}
    return sorted(found)


def outcomes(keys: Iterable[str], decision: Decision, restarted: Iterable[str]) -> dict[str, str]:
    """Return what was done for each key: "applied live", "worker restart", "rejoin" or "unchanged"."""
    needs = {each.key: each.needs for each in decision.changes}
    return {key: _outcome(key, needs.get(key) or needs.get(key.rpartition(".")[0]), set(restarted)) for key in keys}


def _outcome(key: str, needs: ChangeClass | None, restarted: set[str]) -> str:
    if needs is None:
        return UNCHANGED
    if needs is ChangeClass.LIVE:
        return _RESTART if stream_of(key) in restarted else _LIVE
    return str(needs.value)


def refusal(error: ConfigError, layers: Sequence[Layer], path: Path) -> CallError:
    """Return the problems of an edited configuration as one text. They name keys; paths of files are left out."""
    places = {TEMPORARY_CHANGES, str(path), *(str(each.path) for each in layers)}
    texts = []
    for each in error.problems:
        key = "" if each.place in places else each.place.rpartition(": ")[2] if ": " in each.place else ""
        texts.append(f"{key}: {each.message}" if key else each.message)
    return CallError(_joined(texts))


def _problem(key: str, config: Config, layers: Sequence[Layer]) -> str:
    """Return why a key cannot be changed; empty if it can."""
    where, shown = tuple(key.split(".")), _short(key)
    known = key_at(where, config.keys) if all(where) else None
    if known is None:
        return _unknown(key, config)
    if not is_remote(where, config.keys):
        return f"{shown} cannot be changed while the device runs; allowed: {', '.join(remote_keys(config.keys))}"
    if len(known.split(".")) == len(where) and isinstance(config.keys[known].default, dict):
        return f"{shown} is a table; set its keys one by one, {shown}.NAME"
    named = {"cameras": list(config.cameras), "microphones": list(config.microphones)}.get(where[0])
    if named is not None and where[1] not in named:
        return f"there is no [{where[0]}.{_short(where[1])}]; there are: {', '.join(named) or 'none'}"
    layer = origin(layers, where)
    if layer is not None and layer.kind is LayerKind.ENVIRONMENT:
        return f"{shown} is set by the environment variable {layer.variable(where)}, which wins over changes"
    return ""


def _unknown(key: str, config: Config) -> str:
    if any(name.startswith(f"{key}.") for name in config.keys):
        return f"{_short(key)} is a table; set its keys one by one"
    close = difflib.get_close_matches(_short(key), config.keys, n=1, cutoff=0.7)
    return f"there is no key {_short(key)}" + (f"; did you mean {close[0]}?" if close else "")


def _short(text: str) -> str:
    return printable(text[:_MAX_SHOWN])


def _joined(texts: Sequence[str]) -> str:
    more = len(texts) - _MAX_PROBLEMS
    return "; ".join(texts[:_MAX_PROBLEMS]) + (f" (and {more} more)" if more > 0 else "")
