"""Starts Debian's kernel in qemu, on a root that it shares with this host, and runs one program as its init."""

import contextlib
import lzma
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.lab.root import LabError

# What the root's mount needs, in the order of loading.
_MODULES = ("fs/netfs/netfs", "net/9p/9pnet", "net/9p/9pnet_virtio", "fs/9p/9p")
_INIT = """#!/busybox sh
/busybox mkdir -p /dev /new
/busybox mount -t devtmpfs dev /dev
for each in {modules}; do /busybox insmod /$each.ko; done
/busybox mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=loose root /new
/busybox mount --move /dev /new/dev
exec /busybox switch_root /new /lab/init
"""


def kernel_of(root: Path) -> str:
    """Return the release of the kernel that is installed in a root."""
    images = sorted((root / "boot").glob("vmlinuz-*"))
    if not images:
        raise LabError(f"{root} has no kernel")
    return images[-1].name.removeprefix("vmlinuz-")


def run(root: Path, *, within_s: float) -> str:
    """Boot `root`, whose /lab/init does the work and powers off; return what the console showed."""
    release = kernel_of(root)
    with _initramfs(root, release) as initramfs:
        command = (
            *("qemu-system-x86_64", "-nographic", "-no-reboot", "-nodefaults", "-serial", "stdio"),
            *("-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "2048"),  # nested KVM does not start everywhere
            *("-kernel", str(root / "boot" / f"vmlinuz-{release}"), "-initrd", str(initramfs)),
            *("-append", "console=ttyS0 quiet panic=-1"),
            *("-fsdev", f"local,id=root,path={root},security_model=passthrough,multidevs=remap"),
            *("-device", "virtio-9p-pci,fsdev=root,mount_tag=root", "-device", "virtio-rng-pci"),
        )
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=within_s,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            shown = (late.stdout or b"").decode(errors="replace")
            raise LabError(f"the machine was not done within {within_s} s:\n{shown[-3000:]}") from late
    return done.stdout.decode(errors="replace")


@contextlib.contextmanager
def _initramfs(root: Path, release: str) -> Iterator[Path]:
    """Make the smallest archive that can mount the root: busybox and the modules for that."""
    with tempfile.TemporaryDirectory(prefix="lab-kernel-") as folder:
        tree = Path(folder) / "tree"
        tree.mkdir()
        shutil.copy(root / "usr/bin/busybox", tree / "busybox")
        for name in _MODULES:
            packed = root / f"usr/lib/modules/{release}/kernel/{name}.ko.xz"
            (tree / f"{packed.name.removesuffix('.xz')}").write_bytes(lzma.decompress(packed.read_bytes()))
        (tree / "init").write_text(_INIT.format(modules=" ".join(Path(name).name for name in _MODULES)))
        (tree / "init").chmod(0o755)
        archive = Path(folder) / "initramfs"
        names = "\n".join(path.name for path in tree.iterdir())
        cpio = ("cpio", "--quiet", "--create", "--format=newc", "--owner=0:0")
        with archive.open("wb") as out:
            subprocess.run(cpio, cwd=tree, input=names.encode(), stdout=out, check=True)
        yield archive
