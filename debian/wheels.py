"""The package's private environment: a virtual environment with our wheel and the vendored wheels."""

from __future__ import annotations

import re
import shutil
import sys
import zipfile
from typing import TYPE_CHECKING

from debian.elf import check_libraries
from debian.places import CHECKOUT, BuildError, cache, run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PYTHON = "3.13"  # Debian trixie's
# Debian trixie does not have livekit, and its protobuf is too old.
VENDORED = ("livekit", "protobuf")
LOCK = CHECKOUT / "requirements-dev.txt"  # the package has the tested versions
_WHEEL_NAMES = {"amd64": "x86_64", "arm64": "aarch64"}
# glibc's versions up to Debian's that wheels are tagged with
_PLATFORMS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
_HOME = "/usr/lib/livekit-device"
_LAUNCHER = f"""#!{_HOME}/bin/python3
import sys

from device.cli import main

sys.exit(main())
"""
# With RECORD, pip would uninstall the files; the others are for notebooks and for compilers.
_LEFT_OUT = ("*.dist-info/RECORD", "livekit/rtc/resources/jupyter-html", "livekit/rtc/resources/*.h")


def pinned(name: str, lock: str) -> str:
    """Return the entry of a package in a lock file: its version, and a hash for each of its files."""
    match = re.search(rf"^{re.escape(name)}==\S+ \\\n(?:    --hash=sha256:\w+(?: \\)?\n)+", lock, re.MULTILINE)
    if match is None:
        raise BuildError(f"{LOCK}: has no entry with hashes for {name}; run `make lock`")
    return match[0]


def fetch_vendored(architecture: str) -> list[Path]:
    """Return the vendored wheels, from the cache or the package index, each with a hash from the lock file."""
    folder = cache(f"wheels/{architecture}")
    entries = {name: pinned(name, LOCK.read_text()) for name in VENDORED}
    requirements = folder / "requirements.txt"
    requirements.write_text("".join(entries.values()))
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download", "--dest", folder)
    checked = ("--require-hashes", "--no-deps", "--only-binary=:all:", "--requirement", requirements)
    platforms = [f"--platform={each}_{_WHEEL_NAMES[architecture]}" for each in _PLATFORMS]
    target = ("--python-version", PYTHON, "--implementation=cp", "--abi=abi3", "--abi=none", *platforms)
    command = (*pip, *checked, *target, "--find-links", folder)
    try:
        run(*command, "--no-index")  # without the network if the cache is complete
    except BuildError:
        run(*command)
    return [_only(folder, f"{entry.split()[0].replace('==', '-')}-*.whl") for entry in entries.values()]


def build_ours(folder: Path, env: Mapping[str, str]) -> Path:
    """Build the checkout's wheel with the hatchling of the development environment."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, env=env)
    return _only(folder, "*.whl")


def lay_out(environment: Path, wheels: list[Path], architecture: str) -> None:
    """Create the environment. Raises BuildError if a library in it cannot run."""
    packages = environment / f"lib/python{PYTHON}/site-packages"
    packages.mkdir(parents=True)
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(packages)
    for path in [found for pattern in _LEFT_OUT for found in packages.glob(pattern)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for information in packages.glob("*.dist-info"):
        (information / "INSTALLER").write_text("debian\n")
    if not check_libraries(environment, architecture):
        raise BuildError(f"{environment}: contains no native library, but must contain the SDK's")
    (environment / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = true\n")
    launcher = environment / "bin/livekit-device"
    launcher.parent.mkdir()
    launcher.write_text(_LAUNCHER)
    launcher.chmod(0o755)


def _only(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise BuildError(f"{folder}: there are {len(found)} files {pattern}, not one")
    return found[0]
