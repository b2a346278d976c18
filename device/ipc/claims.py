"""Checks values in a worker's messages, which are untrusted input. Pure."""

from __future__ import annotations

from typing import Any

from device.redaction import redacted

_MIN_FPS, _MAX_FPS = 0.1, 1e6
_MAX_FIELD = 2000
_RESERVED_NAMES = frozenset(
    (
        *("worker", "event", "level", "time", "logger", "exc_info", "stack_info", "exception", "stack"),
        *("self", "args", "positional_args", "extra"),
    )
)


def possible_fps(fps: float) -> float:
    """Return the frame rate that a source claims; infinite for an impossible one."""
    return max(fps, _MIN_FPS) if 0 < fps < _MAX_FPS else float("inf")


def safe_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a worker's log record, with bounded texts and without names that structlog or we use."""
    return {
        f"{key}_" if key in _RESERVED_NAMES or key.startswith("_") else key: redacted(value)[:_MAX_FIELD]
        if isinstance(value, str)
        else value
        for key, value in fields.items()
    }
