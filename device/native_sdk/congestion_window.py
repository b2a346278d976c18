"""Makes the SDK lower the bitrate when its congestion window is full; by itself it drops pictures that are encoded.

libwebrtc (rate_control_settings.cc) has the window's settings as text among its constants, and the SDK has no option
for them. With `DropFrame` pictures are to be dropped before they are encoded, and the target stays as it is. Here they
are encoded already: what refers to a dropped one is lost too. Without it the target falls, and the encoder follows.
docs/rate-control.md has what that changes.
"""

from __future__ import annotations

import ctypes
import mmap
from pathlib import Path

_THEIRS = b"QueueSize:350,MinBitrate:30000,DropFrame:true\0"
# As long as theirs, because its length is a constant too. Unknown names are ignored.
_OURS = b"QueueSize:350,MinBitrate:30000,DropFrame:0,xy\0"
_MAPS = Path("/proc/self/maps")
_READ, _WRITE = mmap.PROT_READ, mmap.PROT_WRITE


def drop_no_pictures(library: str) -> bool:
    """Change the settings in this process's memory; connections that are made from now on use them.

    Return False, and change nothing, unless the library's file has the text once, and its memory is what it should be:
    only readable, or changed already.
    """
    try:
        file = Path(library).resolve(strict=True)
        at = _place(file)
        address = None if at is None else _address(file, at)
    except (OSError, ValueError):  # no such file, or an empty one
        return False
    if address is None:
        return False
    if ctypes.string_at(address, len(_OURS)) == _OURS:
        return True
    if ctypes.string_at(address, len(_THEIRS)) != _THEIRS:
        return False
    first = address - address % mmap.PAGESIZE
    size = address + len(_OURS) - first
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    if protect(first, size, _READ | _WRITE):
        return False
    ctypes.memmove(address, _OURS, len(_OURS))
    protect(first, size, _READ)
    return True


def _place(file: Path) -> int | None:
    """Return where the text is in a file, if it is there once."""
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = content.find(_THEIRS)
        return at if at >= 0 and content.find(_THEIRS, at + 1) < 0 else None


def _address(file: Path, at: int) -> int | None:
    """Return where a byte of a file is mapped, if that part can only be read."""
    for line in _MAPS.read_text().splitlines():
        span, rights, offset, _, _, *name = line.split(maxsplit=5)
        begin, end = (int(each, 16) for each in span.split("-"))
        ahead = at - int(offset, 16)
        if rights == "r--p" and name == [str(file)] and 0 <= ahead < end - begin - len(_OURS):
            return begin + ahead
    return None
