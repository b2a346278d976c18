"""The devices as a table for a terminal. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device.control.commands import duration_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device.fleet.found import FoundDevice

_HEADINGS = ("ROOM", "DEVICE", "STATE", "STREAMS", "UP", "TEMP", "MEMORY", "VERSION")
_LEAST, _GAP = 8, 2
_GREEN, _RED, _YELLOW, _END = "\033[32m", "\033[31m", "\033[33m", "\033[0m"
_COLOURS = {"live": _GREEN, "recovering": _RED, "forbidden": _RED}
_STATE_COLUMN = _HEADINGS.index("STATE")


def table(devices: Sequence[FoundDevice], *, width: int | None, colours: bool) -> str:
    """Return the table. Its longest columns are cut until it fits `width` characters; None cuts nothing."""
    rows = [_HEADINGS, *map(_row, devices)]
    kept = [index for index in range(len(_HEADINGS)) if any(row[index] for row in rows[1:])]
    rows = [tuple(row[index] for index in kept) for row in rows]
    widths = _fitted([max(len(row[column]) for row in rows) for column in range(len(kept))], width)
    lines = []
    for number, row in enumerate(rows):
        cells = [_cut(text, most).ljust(most) for text, most in zip(row, widths, strict=True)]
        if colours and number:
            at = kept.index(_STATE_COLUMN)
            colour = _COLOURS.get(devices[number - 1].state, _YELLOW)
            cells[at] = f"{colour}{cells[at]}{_END}"
        lines.append((" " * _GAP).join(cells).rstrip())
    return "\n".join(lines)


def _row(device: FoundDevice) -> tuple[str, ...]:
    streams = ", ".join(f"{name} {state}" for name, state in device.streams.items())
    throttled = f" {', '.join(device.throttled)}" if device.throttled else ""
    return (
        device.room,
        device.identity,
        device.state,
        streams,
        "" if device.uptime_s is None else duration_text(device.uptime_s),
        ("" if device.temperature_c is None else f"{device.temperature_c:.0f} C") + throttled,
        "" if device.memory_mb is None else f"{device.memory_mb:.0f} MB",
        device.version,
    )


def _fitted(widths: list[int], most: int | None) -> list[int]:
    """Return the widths of columns; the widest are lowered until all fit."""
    left = None if most is None else most - _GAP * (len(widths) - 1)
    while left is not None and sum(widths) > left and max(widths) > _LEAST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}~"
