"""The standard streams of a process that may have been started without some of them."""

from __future__ import annotations

import os
import sys

_STDERR = 2


def open_standard_streams() -> None:
    """Open /dev/null for closed streams: otherwise some socket would become standard error."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(descriptor)
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", _STDERR, "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode))
