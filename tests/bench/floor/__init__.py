"""The floor: the minimum cost of publishing these pictures and this sound, with the Go SDK; built into the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.livekit_server import cache_folder

_HERE = Path(__file__).parent
_SOURCES = ("main.go", "go.mod", "go.sum")


def missing() -> str:
    """Return what is missing for this row; empty if nothing is."""
    return "" if _kept().exists() or shutil.which("go") else "not installed: go"


def binary() -> Path:
    """Return the program, which is built if these sources have not been built yet."""
    kept = _kept()
    if not kept.exists():
        print("building the Go floor: a minute or two, once", file=sys.stderr, flush=True)
        kept.parent.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_suffix(".part")
        environment = {name: value for name, value in os.environ.items() if name not in ("GOOS", "GOARCH")}
        command = ["go", "build", "-trimpath", "-mod=readonly", "-o", str(unfinished), "."]
        subprocess.run(command, check=True, cwd=_HERE, env=environment | {"CGO_ENABLED": "0"}, stdin=subprocess.DEVNULL)
        unfinished.replace(kept)
    return kept


def _kept() -> Path:
    digest = hashlib.sha256(b"".join((_HERE / name).read_bytes() for name in _SOURCES)).hexdigest()
    return cache_folder() / f"bench-floor-{digest[:12]}"
