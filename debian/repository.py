"""`make apt-repo`: a signed repository of the packages in dist/, for any web server."""

from __future__ import annotations

import argparse
import gzip
import hashlib
import lzma
import shutil
import sys
from typing import TYPE_CHECKING

from debian.places import ARCHITECTURES, CHECKOUT, DIST, PACKAGE, SUITE, BuildError, built, run

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = DIST / "apt"
_COMPONENT = "main"
_POOL = f"pool/{_COMPONENT}/{PACKAGE[0]}/{PACKAGE}"


def publish(folder: Path, packages: list[Path], *, key: str, url: str) -> Path:
    """Add packages to a repository and sign it; return its .sources file. Earlier packages stay."""
    public = run("gpg", "--armor", "--export", key) if key else ""
    if not public:
        raise BuildError(f"KEY={key}: gpg has no such key; use the fingerprint of a key with its secret part")
    pool, suite = folder / _POOL, folder / "dists" / SUITE
    pool.mkdir(parents=True, exist_ok=True)
    for package in packages:
        shutil.copy(package, pool)
    for architecture in ARCHITECTURES:
        _index(folder, suite / _COMPONENT / f"binary-{architecture}", architecture)
    _sign(suite, key)
    sources = folder / f"{PACKAGE}.sources"
    sources.write_text(sources_file(url or f"file:{folder}", public))
    return sources


def sources_file(url: str, public_key: str) -> str:
    """Return a file for /etc/apt/sources.list.d, which includes the key (sources.list(5), deb822)."""
    lines = [f" {line}" if line else " ." for line in public_key.strip().splitlines()]
    fields = ("Types: deb", f"URIs: {url}", f"Suites: {SUITE}", f"Components: {_COMPONENT}", "Signed-By:")
    return "\n".join((*fields, *lines, ""))


def _index(folder: Path, into: Path, architecture: str) -> None:
    into.mkdir(parents=True, exist_ok=True)
    text = run("apt-ftparchive", "--arch", architecture, "packages", "pool", cwd=folder).encode()
    forms = {"Packages": text, "Packages.gz": gzip.compress(text, mtime=0), "Packages.xz": lzma.compress(text)}
    by_hash = into / "by-hash/SHA256"
    by_hash.mkdir(parents=True, exist_ok=True)
    for name, content in forms.items():
        # Earlier indexes stay: a client may have fetched the previous Release.
        (by_hash / hashlib.sha256(content).hexdigest()).write_bytes(content)
        (into / name).write_bytes(content)


def _sign(suite: Path, key: str) -> None:
    fields = {
        "Origin": PACKAGE,
        "Label": PACKAGE,
        "Suite": SUITE,
        "Codename": SUITE,
        "Architectures": " ".join(ARCHITECTURES),
        "Components": _COMPONENT,
        "Acquire-By-Hash": "yes",
    }
    options = [f"-oAPT::FTPArchive::Release::{name}={value}" for name, value in fields.items()]
    # The files below by-hash are copies of these.
    patterns = [f"-oAPT::FTPArchive::Release::Patterns::={name}" for name in ("Packages", "Packages.gz", "Packages.xz")]
    for stale in ("Release", "InRelease", "Release.gpg"):
        (suite / stale).unlink(missing_ok=True)
    release = run("apt-ftparchive", *options, *patterns, "release", suite)
    (suite / "Release").write_text(release)
    gpg = ("gpg", "--batch", "--yes", "--digest-algo=SHA512", "--local-user", key)
    run(*gpg, "--armor", "--detach-sign", "--output", suite / "Release.gpg", suite / "Release")
    run(*gpg, "--clear-sign", "--output", suite / "InRelease", suite / "Release")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make apt-repo")
    parser.add_argument("--key", required=True)
    parser.add_argument("--url", required=True)
    options = parser.parse_args()
    try:
        sources = publish(FOLDER, [built(each) for each in ARCHITECTURES], key=options.key, url=options.url)
    except BuildError as failure:
        sys.exit(f"make apt-repo: {failure}")
    print(f"{FOLDER.relative_to(CHECKOUT)}: signed; copy {sources.name} to /etc/apt/sources.list.d/ on the devices")


if __name__ == "__main__":
    main()
