"""`make arm64`: the arm64 package in an arm64 root under qemu-user, publishing to a viewer that decodes.

Emulated processors are slow, so that the picture is small. The emulated kernel interface says that pages have 16 KiB,
as the Raspberry Pi 5's have. There is no systemd in here.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from debian.places import built
from tests.install.recipes import BARE, with_dependencies
from tests.lab.filesystem import Scratch
from tests.lab.root import LabError, built_root, cache, in_chroot
from tests.support.livekit_server import Server, livekit_server
from tests.support.table import Table
from tests.support.watcher import Heard, Watcher, dominant_hz, watching

if TYPE_CHECKING:
    from collections.abc import Iterator

# cortex-a53 is four times as fast here as qemu's default, which emulates more.
QEMU = {"QEMU_CPU": "cortex-a53", "QEMU_PAGESIZE": "16384"}
BINFMT = Path("/proc/sys/fs/binfmt_misc")
REGISTRATION = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
ROOM, FPS, WATCH_S = "arm64", 5, 70.0
START_S, END_S = 180.0, 10.0
TONE_HZ = 440.0
CONFIGURATION = """
[room]
url = "{url}"
name = "{room}"
identity = "arm64"
[camera]
source = "pattern"
width = 320
height = 240
fps = {fps}
[microphone]
source = "tone"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a viewer got: readable pictures, those that are missing among them, the tone, and the start's seconds."""

    pictures: int
    missing: int
    hz: float
    start_s: float


def register() -> None:
    """Let the kernel run arm64 programs by qemu. Raises LabError where it cannot."""
    if not REGISTRATION.exists():
        raise LabError("qemu-aarch64 is not there: run tests/install/prepare.sh arm64")
    if not (BINFMT / "register").exists():
        subprocess.run(("mount", "-t", "binfmt_misc", "none", str(BINFMT)), check=True, capture_output=True)
    if not (BINFMT / "qemu-aarch64").exists():
        (BINFMT / "register").write_text(REGISTRATION.read_text())


def root() -> Path:
    """Return the arm64 root with all that the package depends on."""
    bare = replace(BARE, architecture="arm64")
    built_root(bare)
    return built_root(replace(with_dependencies(), base=bare, architecture="arm64"))


@contextmanager
def publishing(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the installed daemon in a root, with its log in the root's /root/log; in the end it is gone."""
    script = 'mount --bind /dev "$0/dev" && mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
    credentials = "/etc/livekit-device/credentials"
    command = ("env", f"CREDENTIALS_DIRECTORY={credentials}", "/usr/bin/livekit-device", "run")
    with (folder / "root/log").open("wb") as log:
        process = subprocess.Popen(
            ("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, str(folder), *command),
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def ended(process: subprocess.Popen[bytes]) -> tuple[int, float]:
    """End the daemon, the child of unshare, by SIGTERM; return its exit code and how long that took."""
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    began = time.monotonic()
    os.kill(int(child), signal.SIGTERM)
    return process.wait(END_S), time.monotonic() - began


async def watch(server: Server) -> Seen:
    """Watch from the first readable picture on."""
    began = time.monotonic()
    async with watching(server, ROOM) as watcher:
        await watcher.until(lambda: _readable(watcher), within_s=START_S, what="the first picture")
        first = time.monotonic()
        await watcher.until(lambda: time.monotonic() > first + WATCH_S, within_s=WATCH_S + 10, what="its end")
        numbers = _readable(watcher)
        return Seen(
            pictures=len(numbers),
            missing=numbers[-1] - numbers[0] + 1 - len(set(numbers)),
            hz=_tone_hz(list(watcher.sound)),
            start_s=first - began,
        )


def _readable(watcher: Watcher) -> list[int]:
    return [each.reading.number for each in watcher.pictures if each.reading]


def _tone_hz(sound: list[Heard]) -> float:
    """Return the tone's frequency: most windows of 0.2 s are without the beep that there is once a second."""
    windows = [sound[begin : begin + 20] for begin in range(len(sound) // 2, len(sound) - 20, 20)]
    return median(map(dominant_hz, windows))


def test(table: Table, folder: Path, server: Server) -> None:
    """Install the package into a root, and run what it holds."""
    package = built("arm64")
    shutil.copy(package, folder / "root")
    began = time.monotonic()
    in_chroot(folder, "apt-get", "install", "--yes", f"/root/{package.name}", env={"DEBIAN_FRONTEND": "noninteractive"})
    took_s = time.monotonic() - began
    machine, page = (in_chroot(folder, *each).strip() for each in (("uname", "-m"), ("getconf", "PAGESIZE")))
    table.record(
        f"{package.name}: installed; machine; page size",
        f"{took_s:.0f} s; {machine}; {page}",
        must="aarch64; 16384",
        ok=(machine, page) == ("aarch64", "16384"),
    )
    etc = folder / "etc/livekit-device"
    (etc / "device.toml").write_text(CONFIGURATION.format(url=server.url, room=ROOM, fps=FPS))
    for name, text in {"api_key": server.api_key, "api_secret": server.api_secret}.items():
        (etc / "credentials" / name).write_text(text)
    with publishing(folder) as process:
        try:
            seen = asyncio.run(watch(server))
        except AssertionError as error:
            raise LabError(f"{error}\n{(folder / 'root/log').read_text()[-3000:]}") from None
        code, end_s = ended(process)
    table.record(
        f"run: pattern of 320x240 at {FPS} fps and tone, {WATCH_S:.0f} s: the start; pictures, missing ones; tone; end",
        f"{seen.start_s:.0f} s; {seen.pictures}, {seen.missing}; {seen.hz:.0f} Hz; {code} after {end_s:.1f} s",
        must=f"{FPS * WATCH_S * 0.95:.0f} or more, 0; {TONE_HZ:.0f} Hz; 0",
        ok=seen.pictures >= FPS * WATCH_S * 0.95 and not seen.missing and abs(seen.hz - TONE_HZ) < 10 and code == 0,
    )


def main() -> None:
    table = Table(title="arm64", columns=("what", "measured", "must hold", "ok"))
    os.environ.update(QEMU)
    try:
        register()
        lower = root()
        with Scratch(lower, machines=cache() / "machines") as scratch, livekit_server(prefer=(0, 0)) as server:
            test(table, scratch.root, server)
    except (LabError, AssertionError) as failure:
        print(table.markdown())
        sys.exit(f"make arm64: {failure}")
    print(table.markdown())


if __name__ == "__main__":
    main()
