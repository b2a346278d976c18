"""The board's model, and a stable, unique identity for it."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import platform
import re
import secrets
from pathlib import Path

from device import state_directory
from device.unit_directories import SERVICE_STATE, own_state

# machine-id(5) requires that only a keyed hash of the id is shown.
_MACHINE_ID_KEY = b"livekit-device"
_MAX_LENGTH = 64
_SERIAL = re.compile(r"[0-9A-Za-z_.-]{4,64}")
# Placeholders in firmware without a serial number, in lower case and without separators.
_PLACEHOLDER_SERIALS = frozenset(
    {"default", "defaultstring", "none", "null", "unknown", "invalid", "undefined", "serial", "serialnumber"}
    | {"systemserialnumber", "notspecified", "notapplicable", "notavailable", "tobefilledbyoem", "deadbeef", "test"}
)
_SEQUENCES = ("0123456789abcdef" * 2, "01234567890" * 3, "fedcba9876543210", "9876543210")
_SEPARATORS = re.compile(r"[_.-]")
_MACHINE_ID = re.compile(r"[0-9a-f]{32}")  # machine-id(5); "uninitialized" does not match
_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
_KEPT, _KEPT_NAME = re.compile(r"device-[0-9a-f]{16}"), "identity"
_PLACEHOLDER_MACS = frozenset({"00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"})


def board_model(root: Path = Path("/")) -> str:
    """Return the name of the board's model, such as "Raspberry Pi 4 Model B Rev 1.4"."""
    for place in ("sys/firmware/devicetree/base/model", "sys/class/dmi/id/product_name"):
        if model := _text(root / place):
            return model
    return platform.machine()


def derived_identity(root: Path = Path("/")) -> str:
    """Return "device-" and a part that is unique to this board.

    The part is the board's serial number, else a hash of the machine id, else a hash of a network interface's permanent
    address, else what `keep_identity` has generated, else the host's name.
    """
    serial = _text(root / "sys/firmware/devicetree/base/serial-number").lstrip("0")
    if _SERIAL.fullmatch(serial) and _is_serial(serial):
        return f"device-{serial}"
    machine_id = _text(root / "etc/machine-id").lower()
    if _MACHINE_ID.fullmatch(machine_id) and len(set(machine_id)) > 1:
        return _hashed(machine_id)
    if address := _permanent_address(root):
        return _hashed(address)
    kept = _text(_state_directory(root) / _KEPT_NAME)
    return kept if _KEPT.fullmatch(kept) else _of_host()


def keep_identity(root: Path = Path("/")) -> None:
    """Generate an identity and keep it in this process's state directory, if only the host's name is left otherwise."""
    folder = own_state()
    if folder is None or not identity_may_be_shared(root):
        return
    # A disk that fails is no reason not to publish: the host's name is used until the next start.
    with contextlib.suppress(OSError):
        if _KEPT.fullmatch(_read(folder / _KEPT_NAME)) is None:
            state_directory.replace(folder / _KEPT_NAME, f"device-{secrets.token_hex(8)}\n")


def identity_may_be_shared(root: Path = Path("/")) -> bool:
    """Return whether the identity is only the host's name, which other devices may have too."""
    return derived_identity(root) == _of_host()


def _of_host() -> str:
    return f"device-{platform.node()}"


def _state_directory(root: Path) -> Path:
    return own_state() or root / SERVICE_STATE.relative_to("/")


def _hashed(text: str) -> str:
    return f"device-{hmac.new(_MACHINE_ID_KEY, text.encode(), hashlib.sha256).hexdigest()[:16]}"


def _is_serial(text: str) -> bool:
    """Return whether a serial number is real: not a placeholder, not a sequence of digits, not one repeated digit."""
    plain = _SEPARATORS.sub("", text).lower()
    is_sequence = any(plain in digits for digits in _SEQUENCES)
    return len(set(plain.lstrip("0"))) > 1 and plain not in _PLACEHOLDER_SERIALS and not is_sequence


def _permanent_address(root: Path) -> str:
    """Return the permanent address of a network card; empty if there is none.

    Built-in cards are preferred to USB ones, and wired ones to wireless ones, so that the choice is the same at each
    start.
    """
    found = []
    for interface in root.glob("sys/class/net/*"):
        if not (interface / "device").exists():  # virtual: a bridge, a tunnel, a container's link
            continue
        wireless = _text(interface / "phy80211/macaddress").lower()  # permanent, even if the interface's address is not
        # linux/netdevice.h: 0 is permanent; other values are random, copied or set.
        own = _text(interface / "addr_assign_type") in ("", "0")
        address = wireless or (_text(interface / "address").lower() if own else "")
        if _MAC.fullmatch(address) and address not in _PLACEHOLDER_MACS:
            found.append(("usb" in str((interface / "device").resolve()), bool(wireless), address))
    return min(found)[2] if found else ""


def _text(path: Path) -> str:
    try:
        return _read(path)
    except OSError:
        return ""


def _read(path: Path) -> str:
    """Return the beginning of a file's text; empty if there is no file. Raises OSError."""
    try:
        # Device tree strings end with a NUL.
        return path.read_bytes()[:256].decode(errors="replace").strip("\0 \t\r\n")[:_MAX_LENGTH]
    except FileNotFoundError:
        return ""
