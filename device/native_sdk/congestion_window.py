"""Makes the SDK lower the bitrate when its congestion window is full, in place of dropping encoded pictures.

libwebrtc (rate_control_settings.cc) has the window's settings as text among its constants, and the SDK has no option
for them. With `DropFrame` libwebrtc drops pictures that it expects to encode itself, and the target stays as it is.
Ours are encoded already, so the following ones cannot be decoded. Without it the target falls, and the encoder follows.
docs/rate-control.md has what that changes.
"""

from __future__ import annotations

import ctypes
import mmap
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_THEIRS = b"QueueSize:350,MinBitrate:30000,DropFrame:true\0"
# As long as theirs, because its length is a constant too. Unknown names are ignored.
_OURS = b"QueueSize:350,MinBitrate:30000,DropFrame:0,xy\0"
_MAPS = Path("/proc/self/maps")
_READ, _WRITE = mmap.PROT_READ, mmap.PROT_WRITE


def drop_no_pictures(library: str) -> bool:
    """Change the settings in this process's memory; connections that are made from now on use them.

    Return False, and change nothing, unless the library is loaded from a file with the text, and its memory is what it
    should be: only readable, or changed already. Only what is mapped that way is searched: 3 of 28 MB.
    """
    try:
        address = _address(Path(library).resolve(strict=True))
    except (OSError, ValueError, RuntimeError):  # no such file, an empty one, a loop of links
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


def _address(file: Path) -> int | None:
    """Return where the text of a file is in memory that can only be read."""
    mappings = list(_constants(file))
    if not mappings:
        return None
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for begin, offset, length in mappings:
            at = content.find(_THEIRS, offset, offset + length)
            if at >= 0:
                return begin + at - offset
    return None


def _constants(file: Path) -> Iterator[tuple[int, int, int]]:
    """Yield address, place in the file and length of each part of a file that is mapped only to be read."""
    for line in _MAPS.read_text().splitlines():
        span, rights, offset, _, _, *name = line.split(maxsplit=5)
        if rights == "r--p" and name == [str(file)]:
            begin, end = (int(each, 16) for each in span.split("-"))
            yield begin, int(offset, 16), end - begin
