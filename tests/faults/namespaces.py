"""Anonymous network namespaces, which end with the process that uses them and need no cleanup."""

from __future__ import annotations

import ctypes
import subprocess
import time
from pathlib import Path

from tests.support.children import die_with_parent, end

_CLONE_NEWNET = 0x40000000  # sched.h
_START_S = 5.0
_COMMAND_S = 10.0


def enter_fresh_namespace(*, without_sdk: bool = False) -> None:
    """Move this thread, and all that it starts later, into a new network namespace.

    Other running threads stay outside: the SDK's would use the host's network. They may run if they are not used from
    here: `without_sdk`.
    """
    for task in () if without_sdk else Path("/proc/self/task").iterdir():
        assert "tokio" not in (task / "comm").read_text(), "the SDK runs already; enter the namespace before it"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET); make faults needs root")


class Namespace:
    """A network namespace kept by a small process, which ends with this one."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL, preexec_fn=die_with_parent
        )
        give_up_at = time.monotonic() + _START_S
        ours = Path("/proc/self/ns/net").readlink()
        while Path(self.path).readlink() == ours:
            if time.monotonic() > give_up_at or self._holder.poll() is not None:
                raise RuntimeError("no network namespace could be made")
            time.sleep(0.005)

    @property
    def pid(self) -> int:
        return self._holder.pid

    @property
    def path(self) -> str:
        return f"/proc/{self._holder.pid}/ns/net"

    def inside(self, *command: str) -> list[str]:
        """Return a command that runs in this namespace with the same process id."""
        return ["nsenter", f"--net={self.path}", *command]

    def run(self, *command: str, text: str = "") -> str:
        """Run a command in this namespace; return its output. Raises CalledProcessError."""
        return run(*self.inside(*command), text=text)

    def close(self) -> None:
        end(self._holder)


def run(*command: str, text: str = "") -> str:
    """Run a command; return its output. Raises CalledProcessError."""
    done = subprocess.run(command, input=text, text=True, check=False, capture_output=True, timeout=_COMMAND_S)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
