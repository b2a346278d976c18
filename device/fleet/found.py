"""Which participants are devices, and how they are. What participants say of themselves is untrusted. Pure."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from device.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_STATE = "device.state"
_STREAM = re.compile(r"device\.((?:camera|microphone)(?:\.[a-z0-9_-]{1,32})?|speaker)")
_MAX_TEXT, _MAX_STREAMS, _MAX_REASONS, _MAX_HEALTH = 200, 16, 8, 4096
_MAX_NUMBER = 1e12
MAX_DEVICES = 1000
"""Of one room; more are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDevice:
    """A device in a room. What it does not report is None; `streams` has the state of each by its name.

    `uptime_s` is for how long its daemon has been running.
    """

    room: str
    identity: str
    state: str
    version: str
    uptime_s: float | None
    memory_mb: float | None
    temperature_c: float | None
    throttled: tuple[str, ...]
    streams: Mapping[str, str]

    @property
    def live(self) -> bool:
        return self.state == "live"


def devices_of(room: str, participants: Iterable[object], *, now_s: float) -> Iterator[FoundDevice]:
    """Yield the devices among the participants of a room, as the server's API lists them. `now_s`: epoch seconds."""
    for each in participants:
        if not isinstance(each, dict):
            continue
        attributes = each.get("attributes")
        if isinstance(attributes, dict) and isinstance(attributes.get(_STATE), str):
            yield _device(room, each.get("identity"), attributes, now_s)


def _device(room: str, identity: object, attributes: Mapping[str, Any], now_s: float) -> FoundDevice:
    health = _health(attributes.get("device.health"))
    started = _number(health.get("started"))
    throttled = health.get("throttled")
    found = ((_STREAM.fullmatch(str(name)), value) for name, value in attributes.items())
    streams = {match[1]: text_of(value) for match, value in found if match}
    return FoundDevice(
        room=text_of(room),
        identity=text_of(identity),
        state=text_of(attributes[_STATE]),
        version=text_of(attributes.get("device.version")),
        uptime_s=None if started is None else max(0.0, now_s - started),
        memory_mb=_number(health.get("memory_mb")),
        temperature_c=_number(health.get("temperature_c")),
        throttled=tuple(text_of(each) for each in throttled[:_MAX_REASONS]) if isinstance(throttled, list) else (),
        streams=dict(sorted(streams.items())[:_MAX_STREAMS]),
    )


def text_of(value: object) -> str:
    """Return a text from outside, bounded and without control characters; empty for what is no text."""
    return printable(value[:_MAX_TEXT]) if isinstance(value, str) else ""


def _health(text: object) -> dict[str, Any]:
    if not isinstance(text, str) or len(text) > _MAX_HEALTH:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) and abs(value) < _MAX_NUMBER else None
