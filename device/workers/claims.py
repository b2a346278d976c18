"""What a worker claims in its messages: untrusted input. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from device.redaction import redacted

if TYPE_CHECKING:
    from device.workers.wire import Message

_LEAST_FPS, _MOST_FPS = 0.1, 1e6
_MAX_FIELD = 2000
_OUR_NAMES = frozenset(
    (
        *("worker", "event", "level", "time", "logger", "exc_info", "stack_info", "exception", "stack"),
        *("self", "args", "positional_args", "extra"),
    )
)


def fps_of(message: Message) -> float:
    """Return the rate of pictures that a source claims; infinite if it claims none that there can be."""
    fps = message.json().get("fps")
    return max(float(fps), _LEAST_FPS) if isinstance(fps, int | float) and 0 < fps < _MOST_FPS else float("inf")


def fields_of(message: Message) -> dict[str, Any]:
    """Return a worker's fields, its texts bounded, under names that cannot collide with ours or structlog's."""
    return {
        f"{key}_" if key in _OUR_NAMES or key.startswith("_") else key: redacted(value)[:_MAX_FIELD]
        if isinstance(value, str)
        else value
        for key, value in message.json().items()
    }
