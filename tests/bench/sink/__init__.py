"""The best peer: livekitwebrtcsink of gst-plugins-rs, linked into a program that runs one pipeline."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.livekit_server import cache_folder

_HERE = Path(__file__).parent
_SOURCES = ("Cargo.toml", "Cargo.lock", "src/main.rs")


def missing() -> str:
    """Return what is missing for this row; empty if nothing is."""
    return "" if binary().exists() else "not built: run make bench-peers"


def binary() -> Path:
    """Return where the program of these sources is."""
    digest = hashlib.sha256(b"".join((_HERE / name).read_bytes() for name in _SOURCES)).hexdigest()
    return cache_folder() / f"bench-sink-{digest[:12]}"


def build() -> None:
    """Build it into the cache, unless it is there."""
    kept = binary()
    if kept.exists():
        return
    if not shutil.which("cargo"):
        sys.exit("cargo not found; install Rust 1.92 or newer, such as by https://rustup.rs")
    print("building livekitwebrtcsink: 10 minutes, once", file=sys.stderr, flush=True)
    target = cache_folder() / "bench-sink-target"
    command = ("cargo", "build", "--release", "--locked", "--target-dir", str(target))
    subprocess.run(command, check=True, cwd=_HERE, env=dict(os.environ), stdin=subprocess.DEVNULL)
    (target / "release" / "bench-sink").replace(kept)
    shutil.rmtree(target)
