"""Brings LiveKit's browser client into `vendor/`: two hatchling hooks, and a script for `make setup`.

npm runs in a temporary folder, so that no node_modules of the checkout gets into a wheel. The copied version is
recorded as the hash of package-lock.json, because neither git nor an sdist preserves modification times.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:

    class BuildHookInterface:
        """Stands for hatchling's class, so that type checking does not need hatchling."""

    class MetadataHookInterface:
        """The same."""

        config: dict[str, Any]

else:
    try:
        from hatchling.builders.hooks.plugin.interface import BuildHookInterface
        from hatchling.metadata.plugin.interface import MetadataHookInterface
    except ModuleNotFoundError:  # run as a script, outside of a build
        BuildHookInterface = MetadataHookInterface = object

HERE = Path(__file__).resolve().parent
VENDOR = HERE / "vendor"
STAMP = VENDOR / "package-lock.sha256"
DIST_FILES = ("livekit-client.umd.js", "livekit-client.fm.worker.js")
NPM_TIMEOUT_S = 300  # a few megabytes over a slow connection


class BundleError(RuntimeError):
    """The browser client cannot be fetched; the text says what to do."""


def bundle() -> bool:
    """Fill `vendor/` with the version in package-lock.json, unless it has that already.

    Returns whether it was filled. Raises BundleError without npm, or if npm fails.
    """
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    if STAMP.is_file() and STAMP.read_text().strip() == wanted:
        return False
    npm = shutil.which("npm")
    if npm is None:
        raise BundleError("building livekit-device from source needs Node 20 with npm (a wheel does not)")
    with tempfile.TemporaryDirectory(prefix="livekit-device-bundle-") as scratch:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, scratch)
        # --loglevel: one dependency declares a newer Node than it needs, and npm prints a long warning.
        command = [
            npm,
            "ci",
            f"--cache={scratch}/.cache",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ]
        try:
            # Not to stdout, which belongs to the build frontend.
            subprocess.run(command, cwd=scratch, check=True, stdout=sys.stderr, timeout=NPM_TIMEOUT_S)
        except (OSError, subprocess.SubprocessError) as error:
            raise BundleError(f"npm could not fetch the browser client: {error}") from error
        _fill(modules=Path(scratch, "node_modules"))
    STAMP.write_text(wanted + "\n")  # last, so that an interrupted copy is repeated
    return True


def _fill(*, modules: Path) -> None:
    shutil.rmtree(VENDOR, ignore_errors=True)
    VENDOR.mkdir()
    client = modules / "livekit-client"
    for name in DIST_FILES:
        shutil.copyfile(client / "dist" / name, VENDOR / name)
    shutil.copyfile(client / "LICENSE", VENDOR / "LICENSE")
    # The two files include the client's dependencies, whose licences require a notice.
    notices = (
        f"==== {path.parent.relative_to(modules)}\n\n{path.read_text(encoding='utf-8').strip()}\n"
        for path in sorted(modules.rglob("LICENSE*"))
        if path.is_file()
    )
    (VENDOR / "THIRD-PARTY-LICENSES").write_text("\n".join(notices), encoding="utf-8")


class LicenseHook(MetadataHookInterface):
    """hatchling calls this before it looks for licences, which is before any build hook."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill `vendor/`, and name the licences, its own among them."""
        bundle()
        metadata["license-files"] = self.config["license-files"]


class BundleHook(BuildHookInterface):
    """hatchling calls this before it collects the files of a wheel (editable or not) or of an sdist."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Fill `vendor/` and add it to the archive, although git ignores it."""
        bundle()
        build_data["artifacts"].append("/device/viewer/vendor/*")


if __name__ == "__main__":
    try:
        done = bundle()
    except BundleError as failure:
        sys.exit(f"bundle.py: {failure}")
    print("vendor/ filled" if done else "vendor/ is up to date")
