"""The packages under test: those that `make deb` and `make offline` have built, and one of a later version."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from debian.places import DIST, PACKAGE, package_file, version
from tests.install.recipes import CHECKOUT
from tests.lab.root import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "dist", "tests")
_BUILD = "import sys; from debian.build import build; print(*build((sys.argv[1],)))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    version: str
    path: Path


def architecture() -> str:
    """Return Debian's name of what this host is."""
    return _run("dpkg", "--print-architecture").strip()


def present() -> Package:
    """Return the package that `make deb` has built for this host's architecture."""
    return Package(version=version(), path=_there(package_file(architecture()), "make deb"))


def offline_archive() -> Path:
    """Return the archive that `make offline` has built for this host's architecture."""
    kind = architecture()
    return _there(DIST / f"{PACKAGE}_{version()}_{kind}_offline.tar", f"make offline ARCH={kind}")


@contextmanager
def later() -> Iterator[Package]:
    """Build the checkout's sources as the next version; it is removed on exit."""
    number = next_version(version())
    with tempfile.TemporaryDirectory(prefix=f"{PACKAGE}-later-") as folder:
        sources = Path(folder, "sources")
        shutil.copytree(CHECKOUT, sources, ignore=_LEFT_OUT, symlinks=True)
        _renumber(sources, number)
        environment = {**os.environ, "PYTHONPATH": str(sources)}
        built = _run(sys.executable, "-c", _BUILD, architecture(), cwd=sources, env=environment)
        yield Package(version=number, path=Path(built.strip()))


def next_version(number: str) -> str:
    """Return a version with its last number raised by one."""
    head, _, last = number.rpartition(".")
    return f"{head}.{int(last) + 1}"


def _renumber(sources: Path, number: str) -> None:
    for name, pattern in {
        "pyproject.toml": r'^version = "(.+)"',
        "device/__init__.py": r'^__version__ = "(.+)"',
        "debian/changelog": rf"^{PACKAGE} \((.+)\)",
    }.items():
        path = sources / name
        text = path.read_text()
        match = re.search(pattern, text, re.MULTILINE)
        assert match, f"{name} names no version"
        path.write_text(f"{text[: match.start(1)]}{number}{text[match.end(1) :]}")


def _there(path: Path, how: str) -> Path:
    if not path.exists():
        raise LabError(f"{path} is not there: run `{how}` first")
    return path


def _run(*argv: str, cwd: Path = CHECKOUT, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{argv[0]} exited {done.returncode}:\n{done.stdout}{done.stderr}"[-4000:])
    return done.stdout
