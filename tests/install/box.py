"""A fresh machine that livekit-device is installed into: what people type there, and how the service is."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING, Self

from tests.lab.machine import Machine, processes_of
from tests.lab.root import LabError, cache

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.support.livekit_server import Server

UNIT = "livekit-device.service"
COMMAND = "/usr/bin/livekit-device"
ETC = "/etc/livekit-device"
STATE = "/var/lib/livekit-device"
CONFIG = f"{ETC}/device.toml"
CREDENTIALS = f"{ETC}/credentials"
LIVE = "room live; camera live; microphone live"
FPS = 15
_SUDO = '#!/bin/sh\nexec "$@"\n'  # who types is root already; a minimal Debian has no sudo
_INSTALL_S = 300.0
_UP_S = 60.0
# Debian's apt does not trust a package's file to a user of its own in a folder that this user cannot read.
_UNATTENDED = 'APT::Sandbox::User "root";\n'
_SOCKETS = """
import os, re, sys
inodes = {number for line in os.scandir("/proc/%s/fd" % sys.argv[1])
          for number in re.findall(r"socket:\\[(\\d+)\\]", os.readlink(line.path))}
for kind in ("tcp", "tcp6", "udp", "udp6"):
    for line in open("/proc/%s/net/%s" % (sys.argv[1], kind)).readlines()[1:]:
        if line.split()[9] in inodes:
            print(kind, *line.split()[1:3])
"""


class Box:
    """`files` of the host are laid into the machine's /root before it boots."""

    def __init__(
        self,
        root: Path,
        *files: Path,
        prepare: Callable[[Path], None] | None = None,
        up_within_s: float = _UP_S,
    ) -> None:
        self._files, self._prepare = files, prepare
        self.machine = Machine(root, machines=cache() / "machines", prepare=self._lay, up_within_s=up_within_s)

    def __enter__(self) -> Self:
        self.machine.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.machine.power_off()

    def type(self, command: str, *, timeout_s: float = _INSTALL_S) -> str:
        """Run a command as people type it into a shell of root's; return what it prints. Asked, it says yes.

        :raises LabError: it failed; the text holds its output
        """
        done = self.try_out(command, timeout_s=timeout_s)
        if done.returncode:
            raise LabError(f"{command} exited {done.returncode}:\n{done.stdout}\n{self.log()}")
        return done.stdout

    def try_out(self, command: str, *, timeout_s: float = _INSTALL_S) -> subprocess.CompletedProcess[str]:
        """Run a command that may fail; what it prints is in `stdout`."""
        shell = ("sh", "-c", f"cd /root && {{ {command}\n}} 2>&1")
        return self.machine.run(shell, check=False, timeout_s=timeout_s, stdin="y\n", env={"TERM": "dumb"})

    def configure(self, server: Server, room: str, **tables: Mapping[str, object]) -> None:
        """Write configuration and credentials, as an editor would: a moving test picture and a tone."""
        picture: dict[str, object] = {"source": "pattern", "width": 640, "height": 480, "fps": FPS}
        given: dict[str, Mapping[str, object]] = {
            "room": {"url": server.url, "name": room},
            "camera": picture,
            "microphone": {"source": "tone"},
            **tables,
        }
        self.machine.install({CONFIG: "\n".join(_toml(name, table) for name, table in given.items())})
        secrets = {"api_key": server.api_key, "api_secret": server.api_secret}
        self.machine.install({f"{CREDENTIALS}/{name}": text for name, text in secrets.items()}, mode=0o600)

    def status(self) -> str:
        return self.machine.show(UNIT, "StatusText")

    def unit(self, *properties: str) -> tuple[str, ...]:
        """Return properties of the unit, as `systemctl show` has them."""
        return tuple(self.machine.show(UNIT, each) for each in properties)

    def is_enabled(self) -> str:
        return self.machine.systemctl("is-enabled", UNIT, check=False)

    def until_status(self, wanted: str, *, within_s: float = 30.0) -> None:
        """Wait until the service's status line is this.

        :raises LabError: it did not come; the text holds the service's log
        """
        try:
            self.machine.wait_for(lambda: self.status() == wanted, timeout_s=within_s, what=wanted)
        except LabError as error:
            raise LabError(f"{error}; its status is {self.status()!r}\n{self.log()}") from None

    def log(self) -> str:
        """Return the end of the service's log."""
        return self.machine.run(("journalctl", "--no-pager", "--quiet", "-n40", f"--unit={UNIT}"), check=False).stdout

    def processes(self) -> list[str]:
        """Return the command lines of the unit's processes."""
        found = (self._command_line(pid) for pid in processes_of(self.machine, UNIT))
        return [each for each in found if each]

    def daemons(self) -> set[str]:
        """Return the command lines of whatever runs livekit-device in this machine, each once."""
        look = r'for each in /proc/[0-9]*/cmdline; do tr "\\0" " " <"$each" && echo; done 2>/dev/null; true'
        lines = self.machine.run(("sh", "-c", look)).stdout.splitlines()
        return {line.strip() for line in lines if line.strip().endswith("livekit-device run")}

    def processor_s(self, *, over_s: float) -> float:
        """Return the seconds of processor time that the service takes within some time."""
        before = self._ticks()
        time.sleep(over_s)
        return (self._ticks() - before) / 100  # sysconf(_SC_CLK_TCK) of every Linux that Debian runs on

    def internet_sockets(self) -> str:
        """Return the addresses of the service's own sockets, a line each."""
        pid = self.machine.show(UNIT, "MainPID")
        return self.machine.run(("/usr/bin/python3", "-c", _SOCKETS, pid)).stdout

    def fingerprint(self, *folders: str) -> str:
        """Return the contents of all files below some folders as hashes, with owners and modes."""
        look = 'find "$@" -exec stat -c "%n %a %U %G" {} + | sort; find "$@" -type f -exec sha256sum {} + | sort'
        return self.machine.run(("sh", "-c", look, "look", *folders)).stdout

    def exists(self, *paths: str) -> list[str]:
        """Return those of some paths that are there."""
        return [each for each in paths if self.machine.run(("test", "-e", each), check=False).returncode == 0]

    def _ticks(self) -> int:
        stat = self.machine.run(("cat", f"/proc/{self.machine.show(UNIT, 'MainPID')}/stat")).stdout
        fields = stat.rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])  # utime and stime of proc(5)

    def _command_line(self, pid: int) -> str:
        text = self.machine.run(("cat", f"/proc/{pid}/cmdline"), check=False).stdout
        return text.replace("\0", " ").strip()

    def _lay(self, root: Path) -> None:
        (root / "usr/local/bin/sudo").write_text(_SUDO)
        (root / "usr/local/bin/sudo").chmod(0o755)
        (root / "etc/apt/apt.conf.d/90unattended").write_text(_UNATTENDED)
        for file in self._files:
            # A link to the host's file is not seen in there; a copy of a big one is cheap where files share blocks.
            subprocess.run(("cp", "--reflink=auto", str(file), str(root / "root")), check=True)
        if self._prepare:
            self._prepare(root)


def _toml(name: str, table: Mapping[str, object]) -> str:
    return "".join((f"[{name}]\n", *(f"{key} = {json.dumps(value)}\n" for key, value in table.items())))
