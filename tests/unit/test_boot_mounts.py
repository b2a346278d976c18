"""Whether /etc lasts, from recorded mountinfo; and a boot partition that is read-only, remounted for real."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from device.boot import mounts
from device.boot.mounts import MountError, mount_of, parsed, volatile, writable

ETC = PurePosixPath("/etc/livekit-device")
ROOT = Path(__file__).parents[2]

# As Linux 6.18 writes these mounts: overlays and tmpfs were made by hand and recorded, the card's partitions put in.
CARD = """\
26 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw
36 26 0:33 / /tmp rw,nosuid,nodev shared:14 - tmpfs tmpfs rw
41 26 179:1 / /boot/firmware rw,relatime shared:20 - vfat /dev/mmcblk0p1 rw,fmask=0022,dmask=0022,codepage=437
"""
# Debian's package overlayroot: the upper folder can be seen.
OVERLAYROOT = """\
65 44 0:40 / /media/root-rw rw,relatime - tmpfs tmpfs-root rw
68 1 0:41 / / rw,relatime - overlay overlayroot rw,lowerdir=/media/root-ro,upperdir=/media/root-rw/overlay
70 68 179:2 / /media/root-ro ro,relatime - ext4 /dev/mmcblk0p2 ro
41 68 179:1 / /boot/firmware ro,relatime - vfat /dev/mmcblk0p1 ro
"""
# An overlay that an initramfs has made: its upper folder is out of sight.
INITRAMFS = """\
68 1 0:41 / / rw,relatime - overlay overlay rw,lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work
36 68 0:33 / /tmp rw,nosuid,nodev - tmpfs tmpfs rw
"""
ON_A_DISK = """\
26 1 179:2 / / ro,noatime - ext4 /dev/mmcblk0p2 ro
50 26 179:3 / /data rw - ext4 /dev/mmcblk0p3 rw
51 26 0:41 / /etc rw - overlay overlay rw,lowerdir=/etc,upperdir=/data/etc,workdir=/data/work
"""
IN_MEMORY_WITHIN = """\
68 1 0:41 / / rw,relatime - overlay lab rw,lowerdir=/lower,upperdir=/host/upper,workdir=/host/work
69 68 0:42 / /run rw - tmpfs tmpfs rw
70 68 0:43 / /etc rw - overlay overlay rw,lowerdir=/etc,upperdir=/run/upper,workdir=/run/work
"""
HIDDEN_MOUNT = CARD + "80 26 0:50 / /etc rw - tmpfs tmpfs rw\n81 80 179:2 /etc /etc rw - ext4 /dev/mmcblk0p2 rw\n"
WITH_SPACES = CARD + "80 26 0:50 / /etc/livekit\\040device rw - tmpfs tmpfs rw\n"


@pytest.mark.parametrize(
    ("mountinfo", "in_container", "kind"),
    (
        (CARD, False, ""),
        (OVERLAYROOT, False, "tmpfs"),
        (INITRAMFS, False, "overlay"),
        (INITRAMFS, True, ""),
        (ON_A_DISK, False, ""),
        (IN_MEMORY_WITHIN, True, "tmpfs"),
        (IN_MEMORY_WITHIN, False, "tmpfs"),
        (HIDDEN_MOUNT, False, ""),
        (CARD + "80 26 0:50 / /etc rw - tmpfs tmpfs rw\n", False, "tmpfs"),
        (CARD + "80 26 0:50 / /etc/livekit-device rw - ramfs none rw\n", False, "ramfs"),
        (CARD + "80 26 0:50 / /etc/livekit-device-old rw - tmpfs none rw\n", False, ""),
        ("", False, ""),
        ("nonsense\n- -\n", False, ""),
    ),
)
def test_whether_etc_is_volatile(mountinfo: str, in_container: bool, kind: str) -> None:  # noqa: FBT001
    assert volatile(parsed(mountinfo), ETC, in_container=in_container) == kind


def test_a_folder_that_is_a_link_is_looked_up_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "proc/1").mkdir(parents=True)
    (tmp_path / "proc/1/mountinfo").write_text(CARD + "80 26 0:50 / /data rw - tmpfs tmpfs rw\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/livekit-device").symlink_to(tmp_path / "data")
    assert mounts.volatile_folder(tmp_path / "etc/livekit-device", root=tmp_path) == "tmpfs"
    assert mounts.volatile_folder(tmp_path / "etc", root=tmp_path) == ""


def test_without_mountinfo_no_folder_is_called_volatile(tmp_path: Path) -> None:
    assert mounts.volatile_folder(tmp_path, root=tmp_path) == ""


@pytest.mark.parametrize("marker", ("run/systemd/container", ".dockerenv", "run/.containerenv"))
def test_a_container_is_known_by_its_managers_marker(tmp_path: Path, marker: str) -> None:
    assert not mounts.in_container(tmp_path)
    (tmp_path / marker).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / marker).touch()
    assert mounts.in_container(tmp_path)


def test_a_place_with_a_space_is_read() -> None:
    mount = mount_of(parsed(WITH_SPACES), PurePosixPath("/etc/livekit device/device.toml"))
    assert mount is not None
    assert (mount.place, mount.kind) == (PurePosixPath("/etc/livekit device"), "tmpfs")


def test_the_kernels_own_mountinfo_is_read() -> None:
    proc = mount_of(parsed(Path("/proc/self/mountinfo").read_text()), PurePosixPath("/proc/self"))
    assert proc is not None
    assert (proc.place, proc.kind) == (PurePosixPath("/proc"), "proc")


INSIDE = """
import os, sys
from pathlib import Path
from tests.support.card import Card, GOOD
folder = Path(sys.argv[1])
card = Card.of(folder)
os.system(f"mount -t tmpfs tmpfs {card.firmware}")
card.put(GOOD if sys.argv[2] == "good" else GOOD.replace("15", "0"))
os.system(f"mount -o remount,ro {card.firmware}")
for _ in range(2):
    code = card.run()
    print(code, os.statvfs(card.firmware).f_flag & os.ST_RDONLY, sorted(os.listdir(card.firmware)), flush=True)
"""


@pytest.mark.parametrize(
    ("what", "lines"),
    (
        ("good", ["0 1 ['livekit-device.log']"] * 2),
        ("bad", ["78 1 ['livekit-device.log', 'livekit-device.toml']"] * 2),
    ),
)
def test_a_read_only_boot_partition_is_remounted_for_a_moment(tmp_path: Path, what: str, lines: list[str]) -> None:
    """In a mount namespace of its own, which takes the mounts with it."""
    assert os.geteuid() == 0, "mounting needs root: run the tests as root, as CI does"
    run = ("unshare", "--mount", sys.executable, "-c", INSIDE, str(tmp_path), what)
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    printed = [line for line in done.stdout.splitlines() if line[0].isdecimal()]
    assert printed == lines, done.stdout + done.stderr


def test_the_root_file_system_is_never_remounted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    recorded = tmp_path / "mountinfo"
    recorded.write_text("26 1 179:2 / / ro,noatime - ext4 /dev/mmcblk0p2 ro\n")
    monkeypatch.setattr(mounts, "OWN_MOUNTINFO", recorded)
    monkeypatch.setattr(mounts, "is_read_only", lambda _folder: True)
    with pytest.raises(MountError, match="read-only file system that is not a separate mount"), writable(tmp_path):
        pytest.fail("it went on")


def test_a_partition_that_cannot_be_remounted_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    recorded = tmp_path / "mountinfo"
    recorded.write_text(f"26 1 179:2 / {tmp_path} ro - vfat /dev/mmcblk0p1 ro\n")
    monkeypatch.setattr(mounts, "OWN_MOUNTINFO", recorded)
    monkeypatch.setattr(mounts, "is_read_only", lambda _folder: True)
    with pytest.raises(MountError, match=r"cannot be remounted rw: mount: .*not mounted"), writable(tmp_path):
        pytest.fail("it went on")
