"""Checks values in a worker's messages, which are untrusted input. Pure."""

from __future__ import annotations

from typing import Any

from device.redaction import redacted

_MIN_FPS, _MAX_FPS = 0.1, 1e6
_MAX_FIELD, _MAX_NAME, _MAX_ITEMS, _MAX_DEPTH = 2000, 64, 50, 3
_RESERVED_NAMES = frozenset(
    (
        *("worker", "event", "level", "time", "logger", "exc_info", "stack_info", "exception", "stack"),
        *("self", "args", "positional_args", "extra"),
    )
)


def possible_fps(fps: float) -> float:
    """Return the rate of pictures that a source claims; infinite if the claim is impossible."""
    return max(fps, _MIN_FPS) if 0 < fps < _MAX_FPS else float("inf")


def safe_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a worker's log record, bounded, and without names that structlog or we use."""
    return {
        (f"{key}_" if key in _RESERVED_NAMES or key.startswith("_") else key)[:_MAX_NAME]: _bounded(value, _MAX_DEPTH)
        for key, value in list(fields.items())[:_MAX_ITEMS]
    }


def _bounded(value: Any, depth: int) -> Any:
    """Return JSON data with each text redacted and cut, and no more than so many items and levels."""
    if isinstance(value, str):
        return redacted(value)[:_MAX_FIELD]
    if isinstance(value, bool | int | float) or value is None:
        return value
    if depth and isinstance(value, list):
        return [_bounded(each, depth - 1) for each in value[:_MAX_ITEMS]]
    if depth and isinstance(value, dict):
        return {str(key)[:_MAX_NAME]: _bounded(each, depth - 1) for key, each in list(value.items())[:_MAX_ITEMS]}
    return "..."
