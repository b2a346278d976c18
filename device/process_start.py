"""When a process started, by the kernel."""

from __future__ import annotations

from pathlib import Path

_STARTTIME = 19  # field 22 of proc(5), counted from the one behind the name


def started_at(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None if there is none."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[_STARTTIME])
    except (OSError, ValueError, IndexError):
        return None
