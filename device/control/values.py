"""Values for keys of the configuration, as a caller sends them: their form and size, before anything looks at them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from device.control.limits import MAX_SET_KEYS
from device.errors import CallError
from device.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_KEY, _MAX_TEXT, _MAX_LIST = 128, 256, 64
_MAX_WHOLE = 1 << 63
_ALLOWED = "true, false, a number, a text or a list of numbers"


def check_values(values: Mapping[str, object]) -> None:
    """Raise CallError for values that no key of the configuration can have."""
    if not 1 <= len(values) <= MAX_SET_KEYS:
        raise CallError(f"values of set has {len(values)} keys; allowed: 1 to {MAX_SET_KEYS}")
    for key, value in values.items():
        if len(key) > _MAX_KEY or not key.isprintable():
            raise CallError(f"{printable(key[:_MAX_KEY])}... is no key")
        if why := _problem(value):
            raise CallError(f"{key}: {why}")


def _problem(value: object) -> str:
    """Return what is wrong with a value; empty for nothing."""
    if isinstance(value, list):
        if len(value) > _MAX_LIST:
            return f"is a list of {len(value)}; allowed: {_MAX_LIST} at most"
        return "" if all(map(_is_number, value)) else f"must be {_ALLOWED}"
    if isinstance(value, str):
        fits = len(value) <= _MAX_TEXT and value.isprintable()
        return "" if fits else f"must be a printable text of at most {_MAX_TEXT} characters"
    return "" if isinstance(value, bool) or _is_number(value) else f"must be {_ALLOWED}"


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MAX_WHOLE
