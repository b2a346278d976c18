"""Who this board is: its model, and an identity that is stable and its own."""

from __future__ import annotations

import hashlib
import hmac
import platform
import re
from pathlib import Path

# machine-id(5) asks that the id itself is never shown, only a keyed hash of it.
_MACHINE_ID_KEY = b"livekit-device"
_MAX_LENGTH = 64
_SERIAL = re.compile(r"[0-9A-Za-z_.-]{4,64}")
# What firmware says if nobody has set it.
_NO_SERIALS = frozenset({"default", "none", "unknown", "serial", "n.a.", "1234567890", "123456789", "12345678"})
_MACHINE_ID = re.compile(r"[0-9a-f]{32}")  # machine-id(5); "uninitialized" is none
_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
_NO_MAC = "00:00:00:00:00:00"


def board_model(root: Path = Path("/")) -> str:
    """Return the board's model in words, such as "Raspberry Pi 4 Model B Rev 1.4"."""
    for place in ("sys/firmware/devicetree/base/model", "sys/class/dmi/id/product_name"):
        if model := _text(root / place):
            return model
    return platform.machine()


def derived_identity(root: Path = Path("/")) -> str:
    """Return "device-" and what this box has of its own.

    That is the board's serial number, else a hash of the machine id, else of the network interfaces' own addresses,
    else the host's name.
    """
    serial = _text(root / "sys/firmware/devicetree/base/serial-number").lstrip("0")
    if _SERIAL.fullmatch(serial) and serial.lower() not in _NO_SERIALS:
        return f"device-{serial}"
    machine_id = _text(root / "etc/machine-id").lower()
    if _MACHINE_ID.fullmatch(machine_id) and len(set(machine_id)) > 1:
        return _hashed(machine_id)
    if addresses := _permanent_addresses(root):
        return _hashed(",".join(addresses))
    return f"device-{platform.node()}"


def identity_may_be_shared(root: Path = Path("/")) -> bool:
    """Say whether nothing but the host's name tells this box from others: they may have the same."""
    return derived_identity(root) == f"device-{platform.node()}"


def _hashed(text: str) -> str:
    return f"device-{hmac.new(_MACHINE_ID_KEY, text.encode(), hashlib.sha256).hexdigest()[:16]}"


def _permanent_addresses(root: Path) -> list[str]:
    """Return the addresses that network cards were made with (addr_assign_type 0, linux/netdevice.h)."""
    found = []
    for interface in sorted(root.glob("sys/class/net/*")):
        address = _text(interface / "address").lower()
        own = _text(interface / "addr_assign_type") == "0" and (interface / "device").exists()
        if own and _MAC.fullmatch(address) and address != _NO_MAC:
            found.append(address)
    return found


def _text(path: Path) -> str:
    try:
        # Device tree strings end with a NUL.
        return path.read_bytes()[:256].decode(errors="replace").strip("\0 \t\r\n")[:_MAX_LENGTH]
    except OSError:
        return ""
