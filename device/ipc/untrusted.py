"""What a worker claims in its messages: untrusted input. Pure."""

from __future__ import annotations

from typing import Any

from device.redaction import redacted

_LEAST_FPS, _MOST_FPS = 0.1, 1e6
_MAX_FIELD = 2000
_OUR_NAMES = frozenset(
    (
        *("worker", "event", "level", "time", "logger", "exc_info", "stack_info", "exception", "stack"),
        *("self", "args", "positional_args", "extra"),
    )
)


def possible_fps(fps: float) -> float:
    """Return the rate of pictures that a source claims; infinite if it claims none that there can be."""
    return max(fps, _LEAST_FPS) if 0 < fps < _MOST_FPS else float("inf")


def safe_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a worker's fields, its texts bounded, under names that cannot collide with ours or structlog's."""
    return {
        f"{key}_" if key in _OUR_NAMES or key.startswith("_") else key: redacted(value)[:_MAX_FIELD]
        if isinstance(value, str)
        else value
        for key, value in fields.items()
    }
