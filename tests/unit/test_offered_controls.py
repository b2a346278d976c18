"""What a camera's controls offer, as operators get it."""

from __future__ import annotations

from dataclasses import asdict

from device.ipc import untrusted
from device.ipc.messages import Capturing
from device.ipc.registry import spec_of
from device.sources.controls import ranges as ranges_of_libcamera
from device.sources.v4l2 import controls
from device.sources.v4l2.controls import Control, Kind
from device.sources.v4l2.offered import ranges


def control(name: str, kind: Kind, *, number: int = 0x0098_0900, **more: object) -> Control:
    fields: dict[str, object] = {"least": 0, "most": 10, "step": 1, "default": 5, "read_only": False} | more
    return Control(name=name, id=number, kind=kind, **fields)  # type: ignore[arg-type]


def test_a_usb_cameras_controls_with_their_ranges_and_menus() -> None:
    offered = (
        control("brightness", Kind.INTEGER, least=-64, most=64, default=0),
        control("power_line", Kind.MENU, items=((0, "Disabled"), (1, "50 Hz"))),
        control("auto", Kind.BOOLEAN, most=1, default=1),
        control("reset", Kind.BUTTON),
        control("fixed", Kind.INTEGER, read_only=True),
        control("hflip", Kind.BOOLEAN, number=controls.HFLIP),
        control("bitrate", Kind.INTEGER, number=controls.BITRATE),
    )
    assert ranges(offered) == {
        "brightness": {"kind": "integer", "least": -64, "most": 64, "step": 1, "default": 0},
        "power_line": {
            "kind": "menu",
            "least": 0,
            "most": 10,
            "step": 1,
            "default": 5,
            "items": [[0, "Disabled"], [1, "50 Hz"]],
        },
        "auto": {"kind": "boolean", "least": 0, "most": 1, "step": 1, "default": True},
    }


def test_libcameras_controls_of_one_value() -> None:
    offered = {
        "AeEnable": (False, True, True),
        "AnalogueGain": (1.0, 16.0, None),
        "AfMode": (0, 2, 0),
        "FrameDurationLimits": (33333, 120000, 33333),
        "ColourGains": ((0.0, 0.0), (32.0, 32.0), None),
    }
    assert ranges_of_libcamera(offered) == {
        "AeEnable": {"kind": "boolean", "least": False, "most": True, "default": True},
        "AnalogueGain": {"kind": "number", "least": 1.0, "most": 16.0, "default": None},
        "AfMode": {"kind": "integer", "least": 0, "most": 2, "default": 0},
    }


def test_the_largest_list_fits_a_message_and_outlives_the_daemons_checks() -> None:
    items = tuple((number, "x" * 200) for number in range(64))
    offered = ranges(control(f"control_{number}", Kind.MENU, items=items) for number in range(200))
    spec = spec_of(Capturing)
    wire = spec.encode(Capturing(source="v4l2", controls=offered))
    assert len(wire.payload) < spec.max_payload_bytes
    assert spec.decode(wire).controls == offered == untrusted.safe_fields(offered)
    assert "controls" in asdict(Capturing(source="v4l2"))
