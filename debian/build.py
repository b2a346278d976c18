"""`make deb`: prepares the content of the packages, builds them with debhelper, and checks them with lintian."""

from __future__ import annotations

import datetime
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from debian.completion import completion
from debian.manual import Stamp, command_page, configuration_page
from debian.places import ARCHITECTURES, CHECKOUT, DIST, PACKAGE, BuildError, package_file, run, version
from debian.wheels import build_ours, fetch_vendored, lay_out

_SOURCES = ("config", "debian", "docs", "systemd", "README.md")
_NOT_SOURCES = shutil.ignore_patterns("*.py", "__pycache__", "*.sh", "*.png")


def build(architectures: tuple[str, ...] = ARCHITECTURES) -> list[Path]:
    """Build the packages in parallel; return their paths. The build is reproducible."""
    number, changed_at = (run("dpkg-parsechangelog", "-S", field).strip() for field in ("Version", "Timestamp"))
    if number != version():
        raise BuildError(
            f"debian/changelog: names version {number}, but pyproject.toml {version()}; use the same version in both"
        )
    DIST.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{PACKAGE}-deb-") as folder, ThreadPoolExecutor() as pool:
        ours = build_ours(Path(folder, "wheel"), {"SOURCE_DATE_EPOCH": changed_at})
        date = datetime.datetime.fromtimestamp(int(changed_at), datetime.UTC)
        stamp = Stamp(version=number, date=f"{date:%Y-%m-%d}")

        def one(architecture: str) -> Path:
            return _pack(Path(folder, architecture), [*fetch_vendored(architecture), ours], stamp, architecture)

        return list(pool.map(one, architectures))


def _pack(folder: Path, wheels: list[Path], stamp: Stamp, architecture: str) -> Path:
    tree = folder / f"{PACKAGE}-{version()}"
    tree.mkdir(parents=True)
    for name in _SOURCES:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, symlinks=True, ignore=_NOT_SOURCES)
        else:
            shutil.copy(source, tree)
    shutil.copy(
        CHECKOUT / "CHANGELOG.md", tree / "docs"
    )  # at the top, debhelper would install it as the package's changelog
    lay_out(tree / "build/environment", wheels, architecture)
    pages = {
        "man/livekit-device.1": command_page(stamp),
        "man/livekit-device.toml.5": configuration_page(stamp, (CHECKOUT / "config/device.toml").read_text()),
        "bash-completion/livekit-device": completion(),
    }
    for name, text in pages.items():
        path = tree / "build" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    # Nothing is compiled, so neither build dependencies nor a cross compiler are needed.
    options = ("--build=binary", "--no-check-builddeps", "--no-sign", f"--host-arch={architecture}")
    run("dpkg-buildpackage", *options, cwd=tree, env={"DEB_BUILD_OPTIONS": "nocheck", "LC_ALL": "C.UTF-8"})
    package = package_file(architecture)
    shutil.move(folder / package.name, package)
    run("lintian", "--fail-on=error,warning", "--allow-root", package)
    return package


def main() -> None:
    try:
        for package in build():
            print(f"{package.relative_to(CHECKOUT)}: {package.stat().st_size / 1e6:.1f} MB")
    except BuildError as failure:
        sys.exit(f"make deb: {failure}")


if __name__ == "__main__":
    main()
