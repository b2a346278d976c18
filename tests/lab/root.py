"""Builds the lab's Debian root once, in the user's cache."""

import contextlib
import fcntl
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.lab.recipe import FRESH, RECIPE, Recipe

VENV = "/opt/livekit-device"
DEFAULT_MIRROR = "http://deb.debian.org/debian"
CA_BUNDLE = "etc/ssl/certs/ca-certificates.crt"


class LabError(Exception):
    """The lab cannot be built or run on this host; the text says what to do."""


def cache() -> Path:
    """Return the lab's folder in the user's cache, outside every checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "livekit-device" / "lab"


def require_host() -> None:
    """Raise LabError unless this host can build and boot the root."""
    if os.geteuid() != 0:
        raise LabError("the lab mounts, chroots and boots a machine: run it as root")
    if missing := [tool for tool in ("debootstrap", "systemd-nspawn", "nsenter") if not shutil.which(tool)]:
        raise LabError(f"{', '.join(missing)} not found: run tests/lab/prepare.sh")


def built_root(recipe: Recipe = RECIPE) -> Path:
    """Return the root of `recipe`, which is built the first time. Never write to it."""
    require_host()
    base = built_root(recipe.base) if recipe.base else None
    root = cache() / recipe.digest
    root.parent.mkdir(parents=True, exist_ok=True)
    with locked(root.parent / "build.lock"):
        for stale in root.parent.glob("*.building-*"):
            shutil.rmtree(stale)
        if not root.exists():
            building = Path(tempfile.mkdtemp(prefix=f"{recipe.digest}.building-", dir=root.parent))
            building.chmod(0o755)
            try:
                _build(recipe, building, base)
                building.rename(root)
            except BaseException:
                shutil.rmtree(building, ignore_errors=True)
                raise
    return root


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def in_chroot(root: Path, *argv: str, env: Mapping[str, str] | None = None) -> str:
    """Run `argv` in `root` with /dev and /proc, which end with the command's namespaces."""
    script = 'mount --bind /dev "$0/dev" && mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
    chroot = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, str(root))
    return _run((*chroot, *argv), env={**os.environ, "LC_ALL": "C.UTF-8", "HOME": "/root", **(env or {})})


def _build(recipe: Recipe, root: Path, base: Path | None) -> None:
    if base:
        _run(("cp", "--archive", "--reflink=auto", f"{base}/.", str(root)))
    else:
        kind = (f"--arch={recipe.architecture}",) if recipe.architecture else ()
        with _step(f"debootstrap {recipe.suite}"):
            _run(("debootstrap", "--variant=minbase", *kind, recipe.suite, str(root), _mirror()))
    with _borrowed_network(root):
        with _step(f"apt: {len(recipe.debian)} packages of Debian's and what they need"):
            quiet = {"DEBIAN_FRONTEND": "noninteractive"}
            in_chroot(root, "apt-get", "update", env=quiet)
            in_chroot(root, "apt-get", "install", "--yes", "--no-install-recommends", *recipe.debian, env=quiet)
            in_chroot(root, "apt-get", "clean")
        if recipe.pypi:
            with _step(f"pip: {', '.join(recipe.pypi)}"):
                _pip(recipe, root)
    (root / "etc/hostname").unlink(missing_ok=True)  # each machine has its own
    shutil.rmtree(root / "var/lib/apt/lists")


def _pip(recipe: Recipe, root: Path) -> None:
    in_chroot(root, "python3", "-m", "venv", "--system-site-packages", VENV)
    pip = (f"{VENV}/bin/pip", "--no-cache-dir", "--disable-pip-version-check")
    # Debian's packages are not replaced, which tests our lower bounds.
    debians = in_chroot(root, "/usr/bin/python3", "-m", "pip", "list", "--format=freeze")
    (root / "opt/debian-constraints.txt").write_text(debians)
    in_chroot(root, *pip, "install", "--constraint", "/opt/debian-constraints.txt", *recipe.pypi)


def way_to_mirrors() -> dict[str, bytes]:
    """Return the files, by their path in a root, with which apt, pip and npm use this host's mirrors."""
    files = {
        "etc/resolv.conf": Path("/etc/resolv.conf").read_bytes(),
        "etc/apt/apt.conf.d/00build-host": _run(("apt-config", "dump", "Acquire")).encode(),
        CA_BUNDLE: _host_ca_bundle(),
    }
    for place in (Path("/etc/pip.conf"), Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf"):
        if place.exists():
            files["etc/pip.conf"] = place.read_bytes()
    if shutil.which("npm"):
        files["etc/npmrc"] = f"registry={_run(('npm', 'config', 'get', 'registry'))}".encode()
    return files


@contextlib.contextmanager
def _borrowed_network(root: Path) -> Iterator[None]:
    """Give the root access to this host's mirrors while it is built, then remove it."""
    # Without the second file, services would start in the chroot.
    files = way_to_mirrors() | {"usr/sbin/policy-rc.d": b"#!/bin/sh\nexit 101\n"}
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root / "usr/sbin/policy-rc.d").chmod(0o755)
    # Without this, installing ca-certificates would replace the host's bundle during the build.
    hook = root / "etc/ca-certificates/update.d/build-host"
    hook.parent.mkdir(parents=True, exist_ok=True)
    (root / "var/build-host-ca.crt").write_bytes(files[CA_BUNDLE])
    hook.write_text(f"#!/bin/sh\ncp /var/build-host-ca.crt /{CA_BUNDLE}\n")
    hook.chmod(0o755)
    yield
    for extra in (hook, root / "var/build-host-ca.crt", *(root / name for name in files)):
        extra.unlink(missing_ok=True)
    in_chroot(root, "update-ca-certificates", "--fresh")
    (root / "etc/resolv.conf").touch()


def _host_ca_bundle() -> bytes:
    found = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile or f"/{CA_BUNDLE}"
    return Path(found).read_bytes()


def _mirror() -> str:
    """Return the host's own Debian mirror if it has one, else Debian's."""
    targets = _run(("apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages"))
    origins = (line.split() for line in targets.splitlines())
    return next((words[1] for words in origins if len(words) == 2 and words[0] == "Debian"), DEFAULT_MIRROR)


@contextlib.contextmanager
def _step(what: str) -> Iterator[None]:
    print(f"lab root: {what} ...", file=sys.stderr, flush=True)
    began = time.monotonic()
    yield
    print(f"lab root: {what}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def _run(argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise LabError(f"{' '.join(argv)} exited {done.returncode}:\n{tail}")
    return done.stdout


if __name__ == "__main__":
    for each in (RECIPE, FRESH):
        print(built_root(each))
