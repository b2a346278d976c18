"""The resources of a process: memory, threads, descriptors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    rss_kb: int
    threads: int
    descriptors: int

    @classmethod
    def of(cls, pid: int) -> Footprint:
        process = Path(f"/proc/{pid}")
        lines = (line.partition(":") for line in (process / "status").read_text().splitlines())
        status = {name: value.split() for name, _, value in lines}
        return cls(
            rss_kb=int(status["VmRSS"][0]),
            threads=int(status["Threads"][0]),
            descriptors=sum(1 for _ in (process / "fd").iterdir()),
        )

    def __str__(self) -> str:
        return f"{self.rss_kb / 1024:.1f} MB, {self.threads} threads, {self.descriptors} descriptors"
