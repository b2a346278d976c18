"""Finds V4L2 cameras, and the configured one by node, name, serial number or link."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from device.errors import SourceAbsentError, SourceError, system_text
from device.sources.v4l2 import ioctls

if TYPE_CHECKING:
    from device.sources.v4l2.structures import Capability

_CAPTURE, _STREAMING, _DEVICE_CAPS = 0x1, 0x0400_0000, 0x8000_0000
# Video to video and metadata: encoders, scalers, statistics.
_OTHER_KINDS = 0x0000_8000 | 0x0000_4000 | 0x0080_0000 | 0x0800_0000
# Parts of a board's camera or codec, which libcamera or an encoder use; without those they yield no finished picture.
_PARTS = (
    *("bcm2835-codec", "bcm2835-isp", "rpivid", "rpi-hevc", "rp1-cfe", "unicam", "pispbe"),
    *("rkisp", "rkvdec", "hantro", "imx-media", "sun6i-csi-isp", "mtk-vcodec", "qcom-venus", "coda"),
)
_NODE = re.compile(r"video\d{1,4}")
# libcamera's id of a UVC camera ends with its USB port, interface, vendor and product.
_LIBCAMERA_USB = re.compile(r"-[\d.]+:\d+\.\d+-[0-9a-f]{4}:[0-9a-f]{4}$", re.IGNORECASE)
_LINKS = "dev/v4l/by-id"
_SERIAL = "serial:"
_MAX_SERIAL = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One camera: its node such as /dev/video0, the names that it reports, and what stays after replugging."""

    path: str
    card: str
    driver: str
    bus: str
    serial: str = ""
    link: str = ""


def cameras(root: Path = Path("/")) -> tuple[list[Node], dict[str, str]]:
    """Return the cameras by number, and why each other video node is not one of them, by its path."""
    found, others = [], {}
    links = _links(root)
    for name in sorted(_names(root), key=lambda each: int(each.removeprefix("video"))):
        path = str(root / "dev" / name)
        try:
            with ioctls.opened(path) as descriptor:
                capability = ioctls.capability(descriptor)
                has_formats = bool(ioctls.formats(descriptor))
        except OSError as error:
            others[path] = f"cannot be opened: {system_text(error)}"
            continue
        driver = _text(capability.driver)
        if why := reason_against(driver, _capabilities(capability), has_formats=has_formats):
            others[path] = why
            continue
        found.append(
            Node(
                path=path,
                card=_text(capability.card) or name,
                driver=driver,
                bus=_text(capability.bus_info),
                serial=_serial(root, name),
                link=links.get(name, ""),
            )
        )
    return found, others


def reason_against(driver: str, capabilities: int, *, has_formats: bool) -> str:
    """Return why a node is no camera; empty if it is one. Pure."""
    if driver.lower().startswith(_PARTS):
        return f"belongs to the board's own camera or codec ({driver})"
    if capabilities & _OTHER_KINDS or not capabilities & _CAPTURE:
        return "does not capture pictures (metadata, an output, or an encoder)"
    if not capabilities & _STREAMING:
        return "does not stream"
    return "" if has_formats else "offers no picture format now (a loopback without a program that feeds it)"


def is_usb(libcamera_id: str) -> bool:
    """Return whether a camera of libcamera's list is a USB camera, which this source handles. Pure.

    libcamera passes such a camera's YUYV or JPEG on, and picamera2 encodes neither.
    """
    return _LIBCAMERA_USB.search(libcamera_id) is not None


def choose(found: list[Node], others: dict[str, str], wanted: str, *, resolved: str = "") -> Node:
    """Return the wanted camera; empty means the first. `resolved` is the node to which a path leads. Pure.

    Raises SourceAbsentError, which lists the cameras.
    """
    if wanted.startswith("/"):
        matches = [each for each in found if resolved in (each.path, os.path.basename(each.path))]  # noqa: PTH119
        if not matches and (why := others.get(resolved)):
            raise SourceError(
                f"camera.device: {wanted} {why}; there are: {listed(found)}", for_viewers="this is not a camera"
            )
    elif wanted.lower().startswith(_SERIAL):
        serial = wanted[len(_SERIAL) :].strip().lower()
        matches = [each for each in found if serial and each.serial.lower() == serial]
    else:
        name = wanted.lower()
        exact = [each for each in found if each.card.lower() == name]
        matches = exact or [each for each in found if name in each.card.lower()]
    if matches:
        return matches[0]
    if not found:
        refused = "; ".join(f"{path} {why}" for path, why in others.items())
        raise SourceAbsentError(
            f"there is no V4L2 camera{f' ({refused})' if refused else ''}; connect one and look at `dmesg`",
            for_viewers="no camera is connected",
        )
    raise SourceAbsentError(
        f"no V4L2 camera is {wanted!r} by node, name, {_SERIAL}NUMBER or link; there are: {listed(found)}",
        for_viewers="this camera is not connected",
    )


def find(wanted: str, root: Path = Path("/")) -> Node:
    """Look for the wanted camera now. Raises SourceError."""
    found, others = cameras(root)
    resolved = ""
    if wanted.startswith("/"):
        resolved = os.path.realpath(root / wanted.lstrip("/"))
        # A link's target may be below another root, in tests.
        resolved = next((path for path in (*(n.path for n in found), *others) if _same(path, resolved)), resolved)
    return choose(found, others, wanted, resolved=resolved)


def listed(found: list[Node]) -> str:
    """Return the cameras as text."""
    return ", ".join(f"{each.card} ({each.path}{f', serial:{each.serial}' if each.serial else ''})" for each in found)


def _same(path: str, other: str) -> bool:
    with contextlib.suppress(OSError):
        return path == other or os.path.samestat(os.stat(path), os.stat(other))  # noqa: PTH116
    return False


def _capabilities(capability: Capability) -> int:
    """Return what this node can do: `capabilities` alone is that of all nodes of the device."""
    own = capability.capabilities & _DEVICE_CAPS
    return int(capability.device_caps if own else capability.capabilities)


def _names(root: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return [each for each in os.listdir(root / "dev") if _NODE.fullmatch(each)]  # noqa: PTH208 - names alone
    return []


def _links(root: Path) -> dict[str, str]:
    """Return udev's lasting link of each node that has one."""
    found: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(root / _LINKS)):  # noqa: PTH208
            with contextlib.suppress(OSError):
                target = os.path.basename(os.readlink(root / _LINKS / name))  # noqa: PTH115, PTH119
                found.setdefault(target, f"/{_LINKS}/{name}")
    return found


def _serial(root: Path, name: str) -> str:
    """Return the serial number of the USB device whose interface is the node's parent in sysfs; many have none."""
    device = f"{root / 'sys/class/video4linux' / name}/device"
    for folder in (f"{device}/..", device):
        with contextlib.suppress(OSError), open(f"{folder}/serial", errors="replace") as file:  # noqa: PTH123
            return "".join(each for each in file.read(_MAX_SERIAL).strip() if each.isprintable())
    return ""


def _text(raw: bytes) -> str:
    """Return a name that the device reports, without control characters."""
    return "".join(each for each in raw.decode(errors="replace") if each.isprintable()).strip()
