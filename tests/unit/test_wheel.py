"""The wheel, as it is built from a fresh clone and installed where there is no npm."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
# In npm's place: what npm fetched for this checkout, in the shape in which npm leaves it.
NPM = """#!/bin/sh
test "$1" = ci || exit 2
mkdir -p node_modules/livekit-client/dist node_modules/helper
cp {vendor}/*.js node_modules/livekit-client/dist
cp {vendor}/LICENSE node_modules/livekit-client
echo "MIT" >node_modules/helper/LICENSE.txt
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what git knows of this checkout, and nothing that was made in it."""
    folder = tmp_path_factory.mktemp("clone")
    listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in subprocess.run(listed, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout.split("\0"):
        if name.startswith(("device/", "pyproject.toml", "README.md", "LICENSE")) and (CHECKOUT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, folder / name)
    assert not (folder / "device/viewer/vendor").exists()
    return folder


def build(clone: Path, into: Path, path: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(into))
    environment = {**os.environ, "PATH": path}
    return subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheels(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Build twice: with npm, from a fresh clone; then without."""
    folder = tmp_path_factory.mktemp("wheels")
    npm = folder / "bin/npm"
    npm.parent.mkdir()
    npm.write_text(NPM.format(vendor=CHECKOUT / "device/viewer/vendor"))
    npm.chmod(0o755)
    for name, path in (("first", f"{npm.parent}:{os.environ['PATH']}"), ("second", "/nowhere")):
        done = build(clone, folder / name, path)
        assert done.returncode == 0, done.stdout + done.stderr
    return [next((folder / name).glob("*.whl")) for name in ("first", "second")]


def test_the_first_wheel_from_a_fresh_clone_has_every_licence_and_the_browser_client(wheels: list[Path]) -> None:
    names = set(zipfile.ZipFile(wheels[0]).namelist())
    (information,) = {name.partition("/")[0] for name in names if ".dist-info/" in name}
    assert {name for name in names if "/licenses/" in name} == {
        f"{information}/licenses/{name}"
        for name in (
            "LICENSE",
            "device/sources/UNIFONT-LICENSE",
            "device/viewer/vendor/LICENSE",
            "device/viewer/vendor/THIRD-PARTY-LICENSES",
        )
    }
    assert "device/viewer/vendor/livekit-client.umd.js" in names
    for folder in ("page", "operator", "talk"):
        files = {f"device/viewer/{folder}/{path.name}" for path in (CHECKOUT / f"device/viewer/{folder}").iterdir()}
        assert {name for name in names if name.startswith(f"device/viewer/{folder}/")} == files
    metadata = zipfile.ZipFile(wheels[0]).read(f"{information}/METADATA").decode()
    assert metadata.count("License-File: ") == 4
    assert "livekit-api" not in metadata


def test_the_second_wheel_needs_no_npm_and_is_the_same(wheels: list[Path]) -> None:
    first, second = (hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels)
    assert first == second


def test_without_npm_a_fresh_clone_says_what_is_missing(clone: Path, tmp_path: Path) -> None:
    shutil.copytree(clone, tmp_path / "clone", ignore=shutil.ignore_patterns("vendor"))
    done = build(tmp_path / "clone", tmp_path, "/nowhere")
    assert done.returncode != 0
    assert "needs Node 20 with npm" in done.stdout + done.stderr


def test_the_wheel_installs_without_npm(wheels: list[Path], tmp_path: Path) -> None:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps", "--no-index")
    environment = {**os.environ, "PATH": "/nowhere"}
    installed = subprocess.run(
        (*pip, "--target", str(tmp_path), str(wheels[0])), env=environment, capture_output=True, text=True, check=False
    )
    assert installed.returncode == 0, installed.stderr
    environment = {"PYTHONPATH": str(tmp_path), "PATH": "/nowhere"}
    command = (sys.executable, "-P", "-m", "device", "--version")
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)
    assert done.stdout.startswith("livekit-device ")
