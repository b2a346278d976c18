"""The V4L2 ioctls for lists and controls. They decide nothing."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING

from device.sources.v4l2.structures import (
    Capability,
    ExtControl,
    ExtControls,
    Format,
    FormatDescription,
    FrameInterval,
    FrameSize,
    PixelFormat,
    QueriedControl,
    QueriedMenu,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

CAPTURE_TYPE = 1  # V4L2_BUF_TYPE_VIDEO_CAPTURE
DISCRETE = 1  # of sizes and of frame intervals
_MAX_ENTRIES = 512  # a broken driver may never end a list
_NEXT_CTRL = 0x8000_0000
_END_OF_LIST = (errno.EINVAL, errno.ENOTTY, errno.ENODATA)


def _number(structure: type[ctypes.Structure], command: int, *, writes: bool = True) -> int:
    """Return an ioctl's number, as _IOR and _IOWR of the kernel make it on the architectures that are supported."""
    return (3 if writes else 2) << 30 | ctypes.sizeof(structure) << 16 | ord("V") << 8 | command


_QUERYCAP = _number(Capability, 0, writes=False)
_ENUM_FMT = _number(FormatDescription, 2)
_G_FMT = _number(Format, 4)
_QUERYMENU = _number(QueriedMenu, 37)
_G_EXT_CTRLS, _S_EXT_CTRLS = _number(ExtControls, 71), _number(ExtControls, 72)
_ENUM_FRAMESIZES = _number(FrameSize, 74)
_ENUM_FRAMEINTERVALS = _number(FrameInterval, 75)
_QUERY_EXT_CTRL = _number(QueriedControl, 103)


@contextmanager
def opened(node: str) -> Iterator[int]:
    """Open a device that another process may capture from; raises OSError."""
    descriptor = os.open(node, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def capability(descriptor: int) -> Capability:
    """Return names and capabilities. Raises OSError for a device that is not of V4L2."""
    found = Capability()
    fcntl.ioctl(descriptor, _QUERYCAP, found)
    return found


def formats(descriptor: int) -> list[int]:
    """Return the pixel formats (FourCC) in which a device captures, on one plane."""
    found = []
    for index in range(_MAX_ENTRIES):
        each = FormatDescription(index=index, type=CAPTURE_TYPE)
        if not _next(descriptor, _ENUM_FMT, each):
            break
        found.append(int(each.pixelformat))
    return found


def sizes(descriptor: int, fourcc: int) -> list[FrameSize]:
    """Return the sizes of a format; empty if the driver does not list them."""
    found = []
    for index in range(_MAX_ENTRIES):
        each = FrameSize(index=index, pixel_format=fourcc)
        if not _next(descriptor, _ENUM_FRAMESIZES, each):
            break
        found.append(each)
        if each.type != DISCRETE:
            break
    return found


def intervals(descriptor: int, fourcc: int, width: int, height: int) -> list[FrameInterval]:
    """Return the frame intervals of a format and size; empty if the driver does not list them."""
    found = []
    for index in range(_MAX_ENTRIES):
        each = FrameInterval(index=index, pixel_format=fourcc, width=width, height=height)
        if not _next(descriptor, _ENUM_FRAMEINTERVALS, each):
            break
        found.append(each)
        if each.type != DISCRETE:
            break
    return found


def current_format(descriptor: int) -> PixelFormat:
    """Return the format that is set. Raises OSError."""
    found = Format(type=CAPTURE_TYPE)
    fcntl.ioctl(descriptor, _G_FMT, found)
    pix: PixelFormat = found.fmt.pix
    return pix


def controls(descriptor: int) -> list[QueriedControl]:
    """Return the controls, without those of several values."""
    found, last = [], 0
    for _ in range(_MAX_ENTRIES):
        each = QueriedControl(id=last | _NEXT_CTRL)
        if not _next(descriptor, _QUERY_EXT_CTRL, each) or each.id <= last:
            break
        last = each.id
        found.append(each)
    return found


def menu_item(descriptor: int, control: int, index: int) -> bytes | None:
    """Return the raw text of a menu's entry; None if there is no such entry."""
    item = QueriedMenu(id=control, index=index)
    return bytes(item.text) if _next(descriptor, _QUERYMENU, item) else None


def get_control(descriptor: int, control: int) -> int:
    """Return the value of an integer, boolean or menu. Raises OSError."""
    entry = ExtControl(id=control)
    fcntl.ioctl(descriptor, _G_EXT_CTRLS, ExtControls(count=1, controls=ctypes.pointer(entry)))
    return int(entry.u.value)


def set_control(descriptor: int, control: int, value: int, *, wide: bool = False) -> None:
    """Set one control, of 64 bits if `wide`. Raises OSError."""
    entry = ExtControl(id=control)
    if wide:
        entry.u.value64 = value
    else:
        entry.u.value = ctypes.c_int32(value).value  # a bitmask may have its highest bit set
    fcntl.ioctl(descriptor, _S_EXT_CTRLS, ExtControls(count=1, controls=ctypes.pointer(entry)))


def rate_of(numerator: int, denominator: int) -> Fraction:
    """Return a frame rate from the fraction of a second that a frame takes; 0 for an invalid one."""
    return Fraction(denominator, numerator) if numerator and denominator else Fraction(0)


def _next(descriptor: int, request: int, structure: ctypes.Structure) -> bool:
    """Ask for one entry of a list; return False at its end. Raises OSError for other failures."""
    try:
        fcntl.ioctl(descriptor, request, structure)
    except OSError as error:
        if error.errno in _END_OF_LIST:
            return False
        raise
    return True
