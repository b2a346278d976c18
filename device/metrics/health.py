"""The attribute `device.health`: how the device is, for operators in the room, as a small JSON object.

It goes to all participants, so it is written at most every 30 s, and only if something notable has changed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from device.metrics.readings import Readings

INTERVAL_S: Final = 30.0
MAX_CHARACTERS: Final = 1000
_MEGA = 1_000_000
# By how much a number has to change. The start is computed from the clock, which may be set.
_NOTABLE: Final = {"started": 60, "memory_mb": 10, "temperature_c": 4}


@dataclass(slots=True)
class HealthReports:
    """Decides which readings are reported. Pure."""

    _reported: dict[str, Any] = field(default_factory=dict, init=False)

    def update(self, readings: Readings) -> str | None:
        """Return the attribute's new text; None if it has not changed by enough."""
        health = _health(readings)
        if _alike(health, self._reported):
            return None
        self._reported = health
        text = _text(health)
        return text if len(text) <= MAX_CHARACTERS else _text(health | {"streams": {}})


def _health(readings: Readings) -> dict[str, Any]:
    """Return what is reported. `started` is in epoch seconds, so that it is right without being written again."""
    found = {
        "state": readings.state,
        "version": readings.version,
        "started": round(readings.started_at),
        "memory_mb": None if readings.memory_bytes is None else round(readings.memory_bytes / _MEGA),
        "temperature_c": None if readings.temperature_celsius is None else round(readings.temperature_celsius),
        "throttled": None if readings.throttled is None else list(readings.throttled),
        "streams": {each.name: each.state for each in readings.streams},
    }
    return {name: value for name, value in found.items() if value is not None}


def _alike(new: dict[str, Any], old: dict[str, Any]) -> bool:
    return new.keys() == old.keys() and all(
        abs(value - old[name]) < _NOTABLE[name] if name in _NOTABLE else value == old[name]
        for name, value in new.items()
    )


def _text(health: dict[str, Any]) -> str:
    return json.dumps(health, separators=(",", ":"))
