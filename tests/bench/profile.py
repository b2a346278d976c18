"""Measures this daemon's processor time and its waits by process and thread."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import accounts
from tests.bench.material import FPS, FRAMES
from tests.bench.rows import COPY, X264
from tests.bench.run import one_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.material import Material
    from tests.bench.rows import Row
    from tests.support.livekit_server import Server

ROWS = (X264, COPY)
_PER_1000 = 1000 / FRAMES
_PER_S = FPS / FRAMES
_LEAST_S = 0.01
_LEAST_WAITS = 5


@dataclass(slots=True)
class Profile:
    """The seconds and the waits of each thread between two samples; keys are (process, thread)."""

    before: dict[tuple[str, str], tuple[float, int]] = field(default_factory=dict)
    used: dict[tuple[str, str], tuple[float, int]] = field(default_factory=dict)
    pss_bytes: dict[str, int] = field(default_factory=dict)

    def look(self, pid: int) -> None:
        now: dict[tuple[str, str], tuple[float, int]] = {}
        for each in accounts.tree(pid):
            with contextlib.suppress(OSError):
                name = accounts.process_name(Path(f"/proc/{each}/cmdline").read_bytes())
                for thread, used in accounts.threads(each).items():
                    now[name, thread] = used
                self.pss_bytes[name] = accounts.share_bytes(Path(f"/proc/{each}/smaps_rollup").read_text())
        for key, (used_s, waits) in now.items():
            before_s, waits_before = self.before.get(key, (0.0, 0))
            self.used[key] = used_s - before_s, waits - waits_before
        self.before = now

    def markdown(self) -> str:
        lines = ["| process | thread | CPU s / 1000 frames | waits / s | PSS MB |", "|---|---|---|---|---|"]
        for process in sorted(self.pss_bytes):
            threads = {thread: used for (owner, thread), used in self.used.items() if owner == process}
            used_s, waits = (sum(each) for each in zip(*threads.values(), strict=True))
            lines.append(f"| **{process}** | all | {_row(used_s, waits)} | {self.pss_bytes[process] / 1e6:.0f} |")
            for thread, (used_s, waits) in sorted(threads.items(), key=lambda item: item[1], reverse=True):
                if used_s * _PER_1000 >= _LEAST_S or waits * _PER_S >= _LEAST_WAITS:
                    lines.append(f"| | `{thread}` | {_row(used_s, waits)} | |")
        return "\n".join(lines)


def _row(used_s: float, waits: float) -> str:
    return f"{used_s * _PER_1000:.2f} | {waits * _PER_S:.0f}"


def of_daemon(server: Server, material: Material, rows: Sequence[Row]) -> str:
    """Return one profiled run of each row, as text."""
    parts = []
    for row in rows:
        print(f"profiling: {row.title}", file=sys.stderr, flush=True)
        profile = Profile()
        one_run(row, server, material, look=profile.look)
        parts.append(f"{row.title[0].upper()}{row.title[1:]}:\n\n{profile.markdown()}\n")
    return "\n".join(parts)
