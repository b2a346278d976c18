"""Who this board is: its model, and an identity that is stable and its own."""

from __future__ import annotations

import hashlib
import hmac
import platform
from pathlib import Path

# machine-id(5) asks that the id itself is never shown, only a keyed hash of it.
_MACHINE_ID_KEY = b"livekit-device"
_MAX_LENGTH = 64


def board_model(root: Path = Path("/")) -> str:
    """Return the board's model in words, such as "Raspberry Pi 4 Model B Rev 1.4"."""
    for place in ("sys/firmware/devicetree/base/model", "sys/class/dmi/id/product_name"):
        if model := _text(root / place):
            return model
    return platform.machine()


def derived_identity(root: Path = Path("/")) -> str:
    """Return "device-" and the board's serial number, else a hash of the machine id, else the host's name."""
    if serial := _text(root / "sys/firmware/devicetree/base/serial-number").lstrip("0"):
        return f"device-{serial}"
    if machine_id := _text(root / "etc/machine-id"):
        digest = hmac.new(_MACHINE_ID_KEY, machine_id.encode(), hashlib.sha256).hexdigest()
        return f"device-{digest[:16]}"
    return f"device-{platform.node()}"


def _text(path: Path) -> str:
    try:
        # Device tree strings end with a NUL.
        return path.read_bytes()[:256].decode(errors="replace").strip("\0 \t\r\n")[:_MAX_LENGTH]
    except OSError:
        return ""
