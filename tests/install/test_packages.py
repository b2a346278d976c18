"""The files that `make deb`, `make apt-repo` and `make offline` build; debian/prepare.sh installs the tools."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from debian import repository
from debian.build import build
from debian.offline import pack
from debian.places import ARCHITECTURES, BuildError, version

OURS = "./usr/lib/livekit-device/lib/python3.13/site-packages"


@pytest.fixture(scope="session")
def packages() -> dict[str, Path]:
    subprocess.run(("debian/prepare.sh",), check=True)
    return dict(zip(ARCHITECTURES, build(), strict=True))


def contents(package: Path) -> dict[str, tarfile.TarInfo]:
    data = subprocess.run(("dpkg-deb", "--fsys-tarfile", package), capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {each.name: each for each in archive}


def field(package: Path, name: str) -> str:
    done = subprocess.run(("dpkg-deb", "--field", package, name), capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.timeout(300)
def test_built_again_from_files_of_another_time_the_packages_are_the_same(packages: dict[str, Path]) -> None:
    before = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in packages.items()}
    for path in (Path("README.md"), Path("config/device.toml"), Path("systemd/livekit-device.service")):
        path.touch()
    mask = os.umask(0o077)
    try:
        again = build()
    finally:
        os.umask(mask)
    assert {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in again} == {
        packages[name]: digest for name, digest in before.items()
    }


@pytest.mark.timeout(300)
def test_what_the_packages_hold(packages: dict[str, Path]) -> None:
    for architecture, package in packages.items():
        files = contents(package)
        assert field(package, "Architecture") == architecture
        assert field(package, "Version") == version()
        assert "python3-picamera2" in field(package, "Recommends")
        assert {
            "./usr/lib/systemd/system/livekit-device.service",
            "./usr/lib/sysusers.d/livekit-device.conf",
            "./usr/lib/tmpfiles.d/livekit-device.conf",
            "./usr/share/bash-completion/completions/livekit-device",
            "./usr/share/doc/livekit-device/examples/device.toml",
            "./usr/share/man/man1/livekit-device.1.gz",
            "./usr/share/man/man5/livekit-device.toml.5.gz",
            f"{OURS}/device/viewer/page/index.html",
            f"{OURS}/device/viewer/vendor/livekit-client.umd.js",
            f"{OURS}/google/_upb/_message.abi3.so",
            f"{OURS}/livekit/rtc/resources/liblivekit_ffi.so",
            f"{OURS}/livekit_device-{version()}.dist-info/licenses/device/viewer/vendor/THIRD-PARTY-LICENSES",
        } <= set(files)
        assert files["./usr/bin/livekit-device"].linkname == "../lib/livekit-device/bin/livekit-device"
        assert files["./usr/lib/livekit-device/bin/python3"].linkname == "../../../bin/python3"
        assert {(each.uid, each.gid) for each in files.values()} == {(0, 0)}
        # device.toml is no conffile: programs write it.
        assert not [name for name in files if name.startswith("./etc")]
        assert not [name for name in files if name.endswith((".pyc", "/RECORD")) or "/pip" in name]


@pytest.mark.timeout(300)
def test_the_repository_is_signed_and_a_byte_more_breaks_the_signature(
    packages: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))
    made = ("--quick-generate-key", "livekit-device test <test@example.org>", "ed25519", "sign", "1d")
    subprocess.run(("gpg", "--batch", "--quiet", "--passphrase", "", *made), check=True)
    listed = subprocess.run(("gpg", "--list-keys", "--with-colons"), capture_output=True, text=True, check=True).stdout
    key = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
    folder = tmp_path / "apt"
    try:
        with pytest.raises(BuildError, match="KEY=0123: gpg has no such key"):
            repository.publish(folder, list(packages.values()), key="0123", url="")
        sources = repository.publish(folder, list(packages.values()), key=key, url="https://example.org/apt")
        suite = folder / "dists/trixie"
        release = (suite / "Release").read_text()
        assert "Acquire-By-Hash: yes" in release
        assert "-----BEGIN PGP PUBLIC KEY BLOCK-----" in sources.read_text()
        for architecture, package in packages.items():
            index = suite / f"main/binary-{architecture}/Packages"
            digest = hashlib.sha256(index.read_bytes()).hexdigest()
            assert f" {digest} " in release
            assert (index.parent / "by-hash/SHA256" / digest).read_bytes() == index.read_bytes()
            assert hashlib.sha256(package.read_bytes()).hexdigest() in index.read_text()
            assert index.read_text().count("Package: ") == 1
            assert (folder / f"pool/main/l/livekit-device/{package.name}").exists()
        for signature in ((suite / "InRelease",), (suite / "Release.gpg", suite / "Release")):
            assert subprocess.run(("gpg", "--verify", *signature), capture_output=True, check=False).returncode == 0
        (suite / "Release").write_text(release + "\n")
        forged = ("gpg", "--verify", suite / "Release.gpg", suite / "Release")
        assert subprocess.run(forged, capture_output=True, check=False).returncode != 0
    finally:
        subprocess.run(("gpgconf", "--kill", "gpg-agent"), check=True)


@pytest.mark.timeout(300)
def test_the_offline_archive_holds_what_a_minimal_debian_lacks_and_no_more(packages: dict[str, Path]) -> None:
    with tarfile.open(pack("arm64")) as archive:
        names = [Path(name).name for name in archive.getnames()]
    assert packages["arm64"].name in names
    assert {"install.sh", "Packages"} <= set(names)
    held = {name.partition("_")[0] for name in names if name.endswith(".deb")}
    assert {"python3-av", "python3-pyaudio", "python3", "systemd"} <= held
    assert not held & {"libc6", "bash", "apt", "dpkg", "python3-picamera2"}
    assert all(name.endswith(("_arm64.deb", "_all.deb")) for name in names if name.endswith(".deb"))
