"""Measures this daemon's processor time by process and thread."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import accounts
from tests.bench.material import FRAMES
from tests.bench.rows import COPY, X264
from tests.bench.run import one_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.material import Material
    from tests.bench.rows import Row
    from tests.support.livekit_server import Server

ROWS = (X264, COPY)
_PER_1000 = 1000 / FRAMES
_LEAST_S = 0.01


@dataclass(slots=True)
class Profile:
    """The time that each thread used between two samples, in seconds; keys are (process, thread)."""

    before: dict[tuple[str, str], float] = field(default_factory=dict)
    used: dict[tuple[str, str], float] = field(default_factory=dict)
    pss_bytes: dict[str, int] = field(default_factory=dict)

    def look(self, pid: int) -> None:
        now: dict[tuple[str, str], float] = {}
        for each in accounts.tree(pid):
            with contextlib.suppress(OSError):
                name = accounts.process_name(Path(f"/proc/{each}/cmdline").read_bytes())
                for thread, used_s in accounts.threads_s(each).items():
                    now[name, thread] = used_s
                self.pss_bytes[name] = accounts.share_bytes(Path(f"/proc/{each}/smaps_rollup").read_text())
        self.used = {key: used_s - self.before.get(key, 0.0) for key, used_s in now.items()}
        self.before = now

    def markdown(self) -> str:
        lines = ["| process | thread | CPU s / 1000 frames | PSS MB |", "|---|---|---|---|"]
        for process in sorted(self.pss_bytes):
            threads = {thread: used for (owner, thread), used in self.used.items() if owner == process}
            whole = sum(threads.values()) * _PER_1000
            lines.append(f"| **{process}** | all | {whole:.2f} | {self.pss_bytes[process] / 1e6:.0f} |")
            for thread, used in sorted(threads.items(), key=lambda item: -item[1]):
                if used * _PER_1000 >= _LEAST_S:
                    lines.append(f"| | `{thread}` | {used * _PER_1000:.2f} | |")
        return "\n".join(lines)


def of_daemon(server: Server, material: Material, rows: Sequence[Row]) -> str:
    """Return one profiled run of each row, as text."""
    parts = []
    for row in rows:
        print(f"profiling: {row.title}", file=sys.stderr, flush=True)
        profile = Profile()
        one_run(row, server, material, look=profile.look)
        parts.append(f"{row.title[0].upper()}{row.title[1:]}:\n\n{profile.markdown()}\n")
    return "\n".join(parts)
