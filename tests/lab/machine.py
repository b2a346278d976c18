"""Boots a copy of the lab's root with its own systemd as PID 1, and runs commands in it."""

import contextlib
import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.lab import cgroups
from tests.lab.filesystem import Scratch
from tests.lab.root import LabError

T = TypeVar("T")
POLL_S = 0.05
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The group is joined before nspawn starts, so that --keep-unit makes it the machine's group. If the tests are
# killed, nspawn gets SIGTERM and powers the machine off.
JOIN_AND_START = (
    'for group in $GROUPS_TO_JOIN; do echo $$ >"$group/cgroup.procs"; done; unset GROUPS_TO_JOIN; exec "$@"'
)


class Machine:
    """A booted machine, which shares only the network with the host (including 127.0.0.1).

    `prepare` gets the folder of the root before it boots. All services have to be up within `up_within_s`.
    """

    def __init__(
        self,
        root: Path,
        *,
        machines: Path,
        prepare: Callable[[Path], None] | None = None,
        up_within_s: float = 60.0,
    ) -> None:
        self._scratch = Scratch(root, machines=machines)
        self._up_within_s = up_within_s
        self._prepare = prepare
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._groups: list[Path] = []
        self._leader = 0

    @property
    def name(self) -> str:
        return self._scratch.folder.name

    @property
    def root(self) -> Path:
        """The machine's file system, as the host sees it, without its /dev, /run and /tmp."""
        return self._scratch.root

    def __enter__(self) -> Self:
        self._scratch.__enter__()
        try:
            if self._prepare:
                self._prepare(self.root)
            self._boot()
        except BaseException:
            self.power_off()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.power_off()

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float = 30.0,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run `argv` as the machine's root.

        :raises subprocess.TimeoutExpired: it was killed after `timeout_s`
        :raises LabError: `check` is set and it failed; the text holds its output
        """
        done = subprocess.run(
            self.command(argv),
            env={"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if check and done.returncode:
            raise LabError(f"{' '.join(argv)} exited {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the host's command line that runs `argv` in the machine, for a Popen."""
        if not self._leader:
            raise LabError("the machine is not running")
        return ["nsenter", "-t", str(self._leader), *["-m", "-u", "-i", "-n", "-p", "-C"], "--", *argv]

    def pid_on_host(self, pid: int) -> int:
        """Return the host's id of a process, by its id in the machine.

        :raises LabError: there is no such process
        """
        space = Path(f"/proc/{self._leader}/ns/pid").readlink()
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                ids = re.search(r"^NSpid:.*\s(\d+)$", (folder / "status").read_text(), re.MULTILINE)
                if ids and int(ids[1]) == pid and (folder / "ns/pid").readlink() == space:
                    return int(folder.name)
        raise LabError(f"the machine has no process {pid}")

    def systemctl(self, *args: str, check: bool = True, timeout_s: float = 30.0) -> str:
        return self.run(("systemctl", *args), check=check, timeout_s=timeout_s).stdout.strip()

    def show(self, unit: str, prop: str) -> str:
        """Return one property of a unit, as `systemctl show` prints it."""
        return self.systemctl("show", "--value", f"--property={prop}", unit)

    def journal(self, unit: str, *, since_s: float | None = None) -> list[dict[str, Any]]:
        """Return the unit's journal entries, oldest first, since `since_s` of the wall clock."""
        since = () if since_s is None else (f"--since=@{since_s:.6f}",)
        out = self.run(("journalctl", "--output=json", "--all", "--quiet", f"--unit={unit}", *since)).stdout
        return [json.loads(line) for line in out.splitlines()]

    def wait_for(self, predicate: Callable[[], T], *, timeout_s: float, what: str) -> T:
        """Return the first true value of `predicate`, asked every 50 ms.

        :raises LabError: it did not come within `timeout_s`
        """
        deadline = time.monotonic() + timeout_s
        while True:
            if found := predicate():
                return found
            if time.monotonic() > deadline:
                raise LabError(f"waited {timeout_s:g} s in vain for: {what} (last seen: {found!r})")
            time.sleep(POLL_S)

    def install(self, files: Mapping[str, str | bytes], *, mode: int = 0o644) -> None:
        """Write files, by their path in the machine, owned by root; folders are created."""
        for path, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            script = 'mkdir -p "$(dirname "$0")" && cat >"$0.new" && chmod "$1" "$0.new" && mv "$0.new" "$0"'
            argv = self.command(("sh", "-c", script, path, f"{mode:o}"))
            done = subprocess.run(argv, env={"PATH": PATH}, input=data, capture_output=True, check=False)
            if done.returncode:
                raise LabError(f"{path}: {done.stderr.decode()}")

    def power_off(self) -> None:
        """Shut down cleanly, then remove all traces. May be called twice."""
        if self._nspawn:
            self._nspawn.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._nspawn.wait(10)
        cgroups.remove(self._groups)
        if self._nspawn:
            self._nspawn.kill()
            self._nspawn.wait()
        self._nspawn, self._groups, self._leader = None, [], 0
        self._scratch.__exit__(None, None, None)

    def _boot(self) -> None:
        self._groups = cgroups.create(self.name)
        # DeviceAllow= is enforced only if the machine's systemd may load BPF programs.
        boot = (
            *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", "--console=pipe"),
            *(f"--machine={self.name}", f"--directory={self.root}", "--link-journal=no", "--resolv-conf=off"),
            *("--timezone=off", "--capability=CAP_MKNOD,CAP_BPF", "--system-call-filter=bpf"),
        )
        groups = " ".join(map(str, self._groups))
        environment = {"PATH": PATH, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "GROUPS_TO_JOIN": groups}
        console = self._scratch.folder / "console.log"
        with console.open("wb") as log:
            self._nspawn = subprocess.Popen(
                ("setpriv", "--pdeathsig", "TERM", "sh", "-ec", JOIN_AND_START, "sh", *boot),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._leader = self.wait_for(self._find_leader, timeout_s=10, what="the machine's PID 1")
            self.wait_for(self._is_up, timeout_s=self._up_within_s, what="systemd to finish booting")
        except LabError as error:
            raise LabError(f"{error}\nconsole:\n{console.read_text(errors='replace')[-2000:]}") from None

    def _find_leader(self) -> int:
        nspawn = self._nspawn
        if nspawn is None or nspawn.poll() is not None:
            raise LabError("systemd-nspawn ended")
        with contextlib.suppress(OSError):
            for pid in Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children").read_text().split():
                if Path(f"/proc/{pid}/comm").read_text().strip() == "systemd":
                    return int(pid)
        return 0

    def _is_up(self) -> bool:
        if not Path(f"/proc/{self._leader}").exists():
            raise LabError("the machine went down while booting")
        state = self.systemctl("is-system-running", check=False)
        return state in {"running", "degraded"}


def processes_of(machine: Machine, unit: str) -> list[int]:
    """Return the living processes of a unit, by their ids in the machine."""
    group = machine.show(unit, "ControlGroup")
    out = machine.run(("cat", f"/sys/fs/cgroup{group}/cgroup.procs"), check=False).stdout
    return [int(pid) for pid in out.split()]
