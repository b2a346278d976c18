"""What a V4L2 camera's controls offer, as plain data for operators. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from device.sources.v4l2.controls import HFLIP, VFLIP, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from device.sources.v4l2.controls import Control

_KINDS = {Kind.INTEGER: "integer", Kind.BOOLEAN: "boolean", Kind.MENU: "menu", Kind.INTEGER_MENU: "menu"}
_FLIPS = (HFLIP, VFLIP)  # camera.hflip and camera.vflip
_CODEC_CLASS = 0x0099_0000  # of its encoder, which follows the room
_MAX_CONTROLS, _MAX_ITEMS, _MAX_TEXT = 48, 32, 48


def ranges(offered: Iterable[Control]) -> dict[str, dict[str, Any]]:
    """Return what can be set by name: `kind`, `least`, `most`, `step`, `default`, and the `items` of a menu."""
    found = [
        each
        for each in offered
        if each.kind in _KINDS
        and not each.read_only
        and each.id not in _FLIPS
        and each.id & 0xFFFF_0000 != _CODEC_CLASS
    ]
    return {each.name: _range(each) for each in found[:_MAX_CONTROLS]}


def _range(control: Control) -> dict[str, Any]:
    result: dict[str, Any] = {
        "kind": _KINDS[control.kind],
        "least": control.least,
        "most": control.most,
        "step": control.step,
        "default": bool(control.default) if control.kind is Kind.BOOLEAN else control.default,
    }
    if control.items:
        result["items"] = [[number, text[:_MAX_TEXT]] for number, text in control.items[:_MAX_ITEMS]]
    return result
