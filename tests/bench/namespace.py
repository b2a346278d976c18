"""The network of the bench: a namespace with one address that is not loopback, because libnice skips loopback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

ADDRESS, INTERFACE = "10.77.9.1", "bench0"
_ENTERED = "BENCH_NAMESPACE"


def enter() -> None:
    """Run this program again in a network namespace of its own, unless it is in there already."""
    if os.environ.get(_ENTERED):
        for arguments in (
            ("link", "set", "lo", "up"),
            ("link", "add", INTERFACE, "type", "veth", "peer", "name", f"{INTERFACE}-peer"),
            ("link", "set", f"{INTERFACE}-peer", "up"),
            ("address", "add", f"{ADDRESS}/24", "dev", INTERFACE),
            ("link", "set", INTERFACE, "up"),
            ("route", "add", "default", "dev", INTERFACE),
        ):
            subprocess.run(("ip", *arguments), check=True)
        return
    if missing := [tool for tool in ("unshare", "ip") if not shutil.which(tool)]:
        sys.exit(f"{', '.join(missing)} not found; install util-linux and iproute2")
    root = () if os.geteuid() == 0 else ("--map-root-user",)
    command = ("unshare", *root, "--net", sys.executable, "-m", "tests.bench", *sys.argv[1:])
    os.execvpe(command[0], command, os.environ | {_ENTERED: "1"})
