"""Names the program that uses a device, as far as /proc shows it to this user."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_MAX_NAME = 32


def holder(node: str, proc: Path = Path("/proc")) -> str:
    """Return "ffmpeg (pid 123)", or an empty text if no other process is seen to have the node open."""
    try:
        wanted = os.stat(node)  # noqa: PTH116
    except OSError:
        return ""
    for folder in proc.iterdir():
        if not folder.name.isdecimal() or int(folder.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            for each in (folder / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if os.path.samestat(each.stat(), wanted):
                        name = (folder / "comm").read_text(errors="replace").strip()[:_MAX_NAME]
                        shown = "".join(letter for letter in name if letter.isprintable())
                        return f"{shown or 'a program'} (pid {folder.name})"
    return ""
