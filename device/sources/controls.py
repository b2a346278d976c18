"""A camera's controls, as the configuration names them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from device.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

_RATE_CONTROLS = frozenset({"framerate", "framedurationlimits"})


def checked_controls(wanted: Mapping[str, Any], offered: Mapping[str, tuple[Any, Any, Any]]) -> dict[str, Any]:
    """Return the controls under the camera's own names. Raises SourceError for one that it has not, or not so."""
    by_name = {name.lower(): name for name in offered}
    result: dict[str, Any] = {}
    for key, value in wanted.items():
        name = by_name.get(key.lower())
        if key.lower() in _RATE_CONTROLS:
            raise unfit(f"camera.controls.{key}: set camera.fps instead", "camera.controls does")
        if name is None:
            raise unfit(
                f"camera.controls.{key}: this camera has no such control; it has: {', '.join(sorted(offered))}",
                "camera.controls does",
            )
        if name in result:
            raise unfit(f"camera.controls.{key}: {name} is set twice, in different letter case", "camera.controls does")
        low, high, _ = offered[name]
        if isinstance(value, int | float) and isinstance(low, int | float) and not low <= value <= high:
            raise unfit(
                f"camera.controls.{key}: {value} is out of range; allowed: {low} to {high}", "camera.controls does"
            )
        result[name] = tuple(value) if isinstance(value, list) else value
    return result


def unfit(message: str, what: str) -> SourceError:
    """Return the error for a setting that the camera cannot do; `what` is the setting, with its verb."""
    return SourceError(message, for_viewers=f"{what} not fit this camera")
