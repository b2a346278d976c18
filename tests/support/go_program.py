"""Programs in Go that tests need, built into the cache once."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.livekit_server import cache_folder

if TYPE_CHECKING:
    from pathlib import Path

_SOURCES = ("main.go", "go.mod", "go.sum")


@dataclass(frozen=True, slots=True, kw_only=True)
class GoProgram:
    """A program whose sources are in a folder. `name` is that of the file in the cache."""

    name: str
    folder: Path

    def missing(self) -> str:
        """Return what is missing to build it; empty if nothing is."""
        return "" if self._kept().exists() or shutil.which("go") else "not installed: go"

    def binary(self) -> Path:
        """Return the program, which is built if these sources have not been built yet."""
        kept = self._kept()
        if not kept.exists():
            print(f"building {self.name}: a minute or two, once", file=sys.stderr, flush=True)
            kept.parent.mkdir(parents=True, exist_ok=True)
            unfinished = kept.with_suffix(f".{os.getpid()}.part")
            environment = {name: value for name, value in os.environ.items() if name not in ("GOOS", "GOARCH")}
            command = ["go", "build", "-trimpath", "-mod=readonly", "-o", str(unfinished), "."]
            environment["CGO_ENABLED"] = "0"
            subprocess.run(command, check=True, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL)
            unfinished.replace(kept)
        return kept

    def _kept(self) -> Path:
        digest = hashlib.sha256(b"".join((self.folder / name).read_bytes() for name in _SOURCES)).hexdigest()
        return cache_folder() / f"{self.name}-{digest[:12]}"
