"""A QR code in characters: each character shows two modules, one above the other."""

from __future__ import annotations

import segno

_QUIET = 1  # modules around it; the standard requires 4, readers accept 1, and a serial line has 80 columns
_BLOCKS = {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}
_BLACK_ON_WHITE, _END = "\033[30;47m", "\033[0m"


def lines(text: str, *, colours: bool) -> list[str]:
    """Return the lines of a code.

    With `colours` it is black on white on any terminal. Without, dark modules have the terminal's background, which is
    dark on most terminals; readers also decode inverse codes.
    """
    code = segno.make(text, error="l", boost_error=False, micro=False)
    rows = [[bool(module) for module in row] for row in code.matrix_iter(border=_QUIET)]
    if len(rows) % 2:
        rows.append([False] * len(rows[0]))
    shown = []
    for upper, lower in zip(rows[::2], rows[1::2], strict=True):
        ink = [(one is colours, other is colours) for one, other in zip(upper, lower, strict=True)]
        line = "".join(_BLOCKS[pair] for pair in ink)
        shown.append(f"{_BLACK_ON_WHITE}{line}{_END}" if colours else line)
    return shown


def encodable(encoding: str) -> bool:
    """Return whether a terminal's encoding has the characters."""
    try:
        "".join(_BLOCKS.values()).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
