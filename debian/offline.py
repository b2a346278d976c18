"""`make offline`: an archive with the package and its dependencies on a minimal Debian, installed without a network."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

from debian.places import ARCHITECTURES, CHECKOUT, DIST, PACKAGE, SUITE, BuildError, built, cache, run, version

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DEFAULT_MIRROR = "http://deb.debian.org/debian"
INSTALLER = CHECKOUT / "debian/offline-install.sh"
# The packages of debootstrap's minbase, and their dependencies, are on every machine.
_MINIMAL = re.compile(r"^(Essential: yes|Priority: required|Package: apt)$", re.MULTILINE)
_TO_INSTALL = re.compile(r"^Inst (\S+?)(?::\w+)? \((\S+)", re.MULTILINE)


class Apt:
    """Debian's packages for one architecture, not always this machine's; `installed` sets the target's state."""

    def __init__(self, architecture: str) -> None:
        folder = cache(f"apt/{SUITE}/{architecture}")
        for each in ("lists/partial", "archives/partial"):
            (folder / each).mkdir(parents=True, exist_ok=True)
        self.archives = folder / "archives"
        self._status = folder / "status"
        (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {SUITE} main\n")
        settings = {
            "APT::Architecture": architecture,
            "APT::Architectures": architecture,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",
            "Dir::Etc::SourceList": folder / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::PreferencesParts": "/dev/null",
            "Dir::State::Lists": folder / "lists",
            "Dir::State::Status": self._status,
            "Dir::State::Extended_States": folder / "extended_states",
            "Dir::Cache": folder,
            "Dir::Cache::Archives": self.archives,
        }
        self._options = [f"-o{name}={value}" for name, value in settings.items()]
        self.installed("")
        self("apt-get", "update", "-qq")

    def __call__(self, program: str, *arguments: object) -> str:
        return run(program, *self._options, *arguments)

    def installed(self, status: str) -> None:
        """Set the packages that the target has, in the format of dpkg's status file."""
        self._status.write_text(status)

    def needed(self, *wanted: object) -> list[tuple[str, str]]:
        """Return names and versions of the packages that would be installed."""
        return _TO_INSTALL.findall(self("apt-get", "--simulate", "--yes", "install", *wanted))


def mirror() -> str:
    """Return this machine's mirror of Debian, or Debian's own if there is none."""
    listed = run("apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages")
    uris = [line.removeprefix("Debian ") for line in listed.splitlines() if line.startswith("Debian ")]
    return next((uri for uri in uris if "security" not in uri), DEFAULT_MIRROR)


def pack(architecture: str) -> Path:
    """Build the archive; return its path."""
    package = built(architecture)
    apt = Apt(architecture)
    known = re.split(r"\n\n+", apt("apt-cache", "dumpavail").strip())
    minimal = [re.search(r"^Package: (\S+)", each, re.MULTILINE) for each in known if _MINIMAL.search(each)]
    there = {name for name, _ in apt.needed(*(match[1] for match in minimal if match))}
    apt.installed("".join(_as_installed(each) for each in known if _name(each) in there))
    lacking = apt.needed(package)
    apt("apt-get", "--download-only", "--yes", "-qq", "install", package)
    name = f"{PACKAGE}_{version()}_{architecture}_offline"
    with tempfile.TemporaryDirectory(prefix=f"{PACKAGE}-offline-") as scratch:
        folder = Path(scratch, name)
        folder.mkdir()
        shutil.copy(package, folder)
        shutil.copy(INSTALLER, folder / "install.sh")
        for each, number in lacking:
            if each != PACKAGE:
                (found,) = apt.archives.glob(f"{each}_{number.replace(':', '%3a')}_*.deb")
                shutil.copy(found, folder)
        (folder / "Packages").write_text(run("apt-ftparchive", "packages", ".", cwd=folder))
        archive = DIST / f"{name}.tar"
        with tarfile.open(archive, "w") as out:
            out.add(folder, arcname=name)
    return archive


def _name(stanza: str) -> str:
    match = re.match(r"Package: (\S+)", stanza)
    return match[1] if match else ""


def _as_installed(stanza: str) -> str:
    return f"{stanza}\nStatus: install ok installed\n\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make offline")
    parser.add_argument("architectures", nargs="*", choices=[*ARCHITECTURES, []], metavar="ARCH")
    try:
        for architecture in parser.parse_args().architectures or ARCHITECTURES:
            archive = pack(architecture)
            print(f"{archive.relative_to(CHECKOUT)}: {archive.stat().st_size / 1e6:.0f} MB")
    except BuildError as failure:
        sys.exit(f"make offline: {failure}")


if __name__ == "__main__":
    main()
