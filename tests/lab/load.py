"""The idle share of this host during a measurement, so that a failed row shows a busy host."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# Of the long measurements.
MINUTES = float(os.environ.get("LAB_MINUTES", "2"))


@dataclass(slots=True)
class Load:
    """Of all cores together, after the context has ended."""

    idle_share: float = 0.0

    def __str__(self) -> str:
        return f"{self.idle_share:.0%} of {os.cpu_count()} cores idle"


@contextmanager
def measuring_load() -> Iterator[Load]:
    load = Load()
    began_s, idle_s = time.monotonic(), _idle_s()
    yield load
    load.idle_share = (_idle_s() - idle_s) / (time.monotonic() - began_s) / (os.cpu_count() or 1)


def _idle_s() -> float:
    """Return the fourth time in the first line of /proc/stat, see proc_stat(5)."""
    return int(Path("/proc/stat").read_text().split(maxsplit=5)[4]) / os.sysconf("SC_CLK_TCK")
