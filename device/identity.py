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
# What firmware says if nobody has set it, in lower case and without separators.
_NO_SERIALS = frozenset(
    {"default", "defaultstring", "none", "null", "unknown", "invalid", "undefined", "serial", "serialnumber"}
    | {"systemserialnumber", "notspecified", "notapplicable", "notavailable", "tobefilledbyoem", "deadbeef", "test"}
)
_COUNTED = ("0123456789abcdef" * 2, "01234567890" * 3, "fedcba9876543210", "9876543210")
_SEPARATORS = re.compile(r"[_.-]")
_MACHINE_ID = re.compile(r"[0-9a-f]{32}")  # machine-id(5); "uninitialized" is none
_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
_NO_MACS = frozenset({"00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"})


def board_model(root: Path = Path("/")) -> str:
    """Return the board's model in words, such as "Raspberry Pi 4 Model B Rev 1.4"."""
    for place in ("sys/firmware/devicetree/base/model", "sys/class/dmi/id/product_name"):
        if model := _text(root / place):
            return model
    return platform.machine()


def derived_identity(root: Path = Path("/")) -> str:
    """Return "device-" and what this box has of its own.

    That is the board's serial number, else a hash of the machine id, else of a network interface's permanent address,
    else the host's name.
    """
    serial = _text(root / "sys/firmware/devicetree/base/serial-number").lstrip("0")
    if _SERIAL.fullmatch(serial) and _is_serial(serial):
        return f"device-{serial}"
    machine_id = _text(root / "etc/machine-id").lower()
    if _MACHINE_ID.fullmatch(machine_id) and len(set(machine_id)) > 1:
        return _hashed(machine_id)
    if address := _permanent_address(root):
        return _hashed(address)
    return f"device-{platform.node()}"


def identity_may_be_shared(root: Path = Path("/")) -> bool:
    """Say whether nothing but the host's name tells this box from others: they may have the same."""
    return derived_identity(root) == f"device-{platform.node()}"


def _hashed(text: str) -> str:
    return f"device-{hmac.new(_MACHINE_ID_KEY, text.encode(), hashlib.sha256).hexdigest()[:16]}"


def _is_serial(text: str) -> bool:
    """Say whether a serial number can be a board's own: no placeholder, no counting, not one and the same digit."""
    plain = _SEPARATORS.sub("", text).lower()
    counted = any(plain in digits for digits in _COUNTED)
    return len(set(plain.lstrip("0"))) > 1 and plain not in _NO_SERIALS and not counted


def _permanent_address(root: Path) -> str:
    """Return the address that a network card was made with; empty if there is none.

    Of several, one that cannot be unplugged comes first, then a wired one: the choice must be the same at each start.
    """
    found = []
    for interface in root.glob("sys/class/net/*"):
        if not (interface / "device").exists():  # a bridge, a tunnel, one end of a container's link
            continue
        wireless = _text(interface / "phy80211/macaddress").lower()  # permanent, also while the interface's own is not
        # linux/netdevice.h: 0 is permanent, the others are random, copied or set.
        own = _text(interface / "addr_assign_type") in ("", "0")
        address = wireless or (_text(interface / "address").lower() if own else "")
        if _MAC.fullmatch(address) and address not in _NO_MACS:
            found.append(("usb" in str((interface / "device").resolve()), bool(wireless), address))
    return min(found)[2] if found else ""


def _text(path: Path) -> str:
    try:
        # Device tree strings end with a NUL.
        return path.read_bytes()[:256].decode(errors="replace").strip("\0 \t\r\n")[:_MAX_LENGTH]
    except OSError:
        return ""
