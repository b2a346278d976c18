"""Checks the camera controls of the configuration against those that the camera has. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from device.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

# libcamera: 0 leaves these to the automatic exposure; their listed default would be a fixed value.
_AUTOMATIC = {"ExposureTime": 0, "AnalogueGain": 0.0}
DAY, NIGHT = "camera.controls", "camera.night.controls"
"""The tables that controls are in."""
_KINDS: dict[type, str] = {bool: "boolean", int: "integer", float: "number"}  # others have several values
_RATE_CONTROLS = frozenset({"framerate", "framedurationlimits"})


def checked_controls(
    wanted: Mapping[str, Any], offered: Mapping[str, tuple[Any, Any, Any]], *, table: str = DAY
) -> dict[str, Any]:
    """Return the controls under the camera's own names. Raises SourceError for an unknown control or a wrong value."""
    by_name = {name.lower(): name for name in offered}
    result: dict[str, Any] = {}
    for key, value in wanted.items():
        name = by_name.get(key.lower())
        if key.lower() in _RATE_CONTROLS:
            raise unsupported(f"{table}.{key}: set camera.fps instead", f"{table} does")
        if name is None:
            raise unsupported(
                f"{table}.{key}: this camera has no such control; it has: {', '.join(sorted(offered))}",
                f"{table} does",
            )
        if name in result:
            raise unsupported(f"{table}.{key}: {name} is set twice, in different letter case", f"{table} does")
        low, high, _ = offered[name]
        if isinstance(value, int | float) and isinstance(low, int | float) and not low <= value <= high:
            raise unsupported(f"{table}.{key}: {value} is out of range; allowed: {low} to {high}", f"{table} does")
        result[name] = tuple(value) if isinstance(value, list) else value
    return result


def with_night(day: Mapping[str, Any], night: Mapping[str, Any]) -> dict[str, Any]:
    """Return the controls of the night: those of the day, except for what night sets, in any letter case."""
    replaced = {name.lower() for name in night}
    return {name: value for name, value in day.items() if name.lower() not in replaced} | dict(night)


def frame_duration(fps: int, offered: Mapping[str, tuple[Any, Any, Any]]) -> dict[str, Any]:
    """Return the control that sets the frame rate; empty if the camera has none. Raises SourceError for a high rate."""
    if "FrameDurationLimits" not in offered:
        return {}
    period_us = 1_000_000 // fps
    shortest, longest, _ = offered["FrameDurationLimits"]
    if period_us < shortest:
        raise unsupported(
            f"camera.fps: {fps} is too fast for this camera; allowed: {1_000_000 // shortest} or less",
            "camera.fps does",
        )
    period_us = min(period_us, longest)
    return {"FrameDurationLimits": (period_us, period_us)} if period_us >= shortest else {}


def changed_controls(
    before: Mapping[str, Any], wanted: Mapping[str, Any], offered: Mapping[str, tuple[Any, Any, Any]]
) -> dict[str, Any]:
    """Return what is to be set: what is wanted, and the defaults of what was set before, if the camera names them."""
    controls = checked_controls(wanted, offered)
    left = checked_controls(before, offered).keys() - controls.keys()
    found = {name: _AUTOMATIC.get(name, offered[name][2]) for name in left}
    return {name: value for name, value in found.items() if value is not None} | controls


def ranges(offered: Mapping[str, tuple[Any, Any, Any]]) -> dict[str, dict[str, Any]]:
    """Return what can be set of libcamera's controls, as plain data: `kind`, `least`, `most` and `default`."""
    return {
        name: {"kind": _KINDS[type(low)], "least": low, "most": high, "default": default}
        for name, (low, high, default) in offered.items()
        if type(low) in _KINDS and type(high) in _KINDS and name.lower() not in _RATE_CONTROLS
    }


def unsupported(message: str, what: str) -> SourceError:
    """Return the error for a setting that the camera does not support.

    `what` is the subject and the verb of the text for viewers, such as "camera.fps does".
    """
    return SourceError(message, for_viewers=f"{what} not fit this camera")
