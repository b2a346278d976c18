"""Paths of the build, and a function that runs other programs."""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKOUT = Path(__file__).parents[1]
DIST = CHECKOUT / "dist"
PACKAGE = "livekit-device"
SUITE = "trixie"
ARCHITECTURES = ("amd64", "arm64")


class BuildError(Exception):
    """The build failed; the text states what to do."""


def cache(name: str) -> Path:
    """Return a folder for downloads, outside of the checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / PACKAGE / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def version() -> str:
    """Return the version in pyproject.toml; debian/changelog must have the same."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def package_file(architecture: str) -> Path:
    return DIST / f"{PACKAGE}_{version()}_{architecture}.deb"


def built(architecture: str) -> Path:
    """Return the package that `make deb` has built."""
    path = package_file(architecture)
    if not path.exists():
        raise BuildError(f"{path} does not exist: run `make deb` first")
    return path


def run(*argv: object, cwd: Path = CHECKOUT, env: Mapping[str, str] | None = None) -> str:
    """Run a program quietly; return its output. Raises BuildError with the end of its output."""
    words = [str(word) for word in argv]
    environment = {**os.environ, **(env or {})}
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-40:])
        raise BuildError(f"{' '.join(words)} exited {done.returncode}:\n{tail}")
    return done.stdout
