"""The board's temperature, and why its firmware throttles it, where the kernel tells."""

from __future__ import annotations

import contextlib
from pathlib import Path

_MILLI = 1000
# Bits of get_throttled in the Raspberry Pi's documentation of vcgencmd; the upper half says that it happened before.
_THROTTLED = {
    0: "under-voltage",
    1: "frequency capped",
    2: "throttled",
    3: "soft temperature limit",
    16: "under-voltage before",
    17: "frequency capped before",
    18: "throttled before",
    19: "soft temperature limit before",
}
REASONS = tuple(_THROTTLED.values())
_ZONE = "sys/class/thermal/thermal_zone0/temp"
_FIRMWARE = (
    "sys/devices/platform/soc/soc:firmware/get_throttled",
    "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled",
)


def temperature_celsius(root: Path = Path("/")) -> float | None:
    """Return the temperature of the processor; None if the kernel does not tell."""
    with contextlib.suppress(OSError, ValueError):
        return int((root / _ZONE).read_text()) / _MILLI
    return None


def throttled(root: Path = Path("/")) -> tuple[str, ...] | None:
    """Return the firmware's reasons for a lower speed; None if there is no such firmware."""
    for name in _FIRMWARE:
        with contextlib.suppress(OSError, ValueError):
            bits = int((root / name).read_text(), 16)
            return tuple(text for bit, text in _THROTTLED.items() if bits >> bit & 1)
    return None
