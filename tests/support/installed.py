"""A root folder as an installed device has it: /etc, /run, and a service manager that runs the real daemon."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import daemon as daemons
from tests.support.children import alive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.livekit_server import Server

_END_S = 10.0
# What setup asks of systemctl, for the one unit that there is.
_SYSTEMCTL = """\
#!/bin/sh
echo "$*" >>"{root}/systemctl.log"
case "$1" in
cat | is-enabled) exit 0 ;;
restart)
    [ -e "{root}/pid" ] && kill "$(cat "{root}/pid")" && tail --pid "$(cat "{root}/pid")" -f /dev/null
    cd "{checkout}" || exit 1
    CREDENTIALS_DIRECTORY="{root}/etc/livekit-device/credentials" RUNTIME_DIRECTORY="{root}/run/livekit-device" \\
        setsid "{python}" -m device run --config "{root}/etc/livekit-device/device.toml" \\
        </dev/null >>"{root}/daemon.log" 2>&1 &
    echo $! >"{root}/pid"
    ;;
esac
"""
_JOURNALCTL = '#!/bin/sh\ncat "{root}/daemon.log"\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """`root` holds it all; `variables` is the environment in which its commands are run."""

    root: Path
    variables: dict[str, str]

    @property
    def etc(self) -> Path:
        return self.root / "etc/livekit-device"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "device", "setup", "--root", str(self.root), *arguments]

    def credentials(self) -> dict[str, str]:
        """Return the content of each file with a secret."""
        return {path.name: path.read_text() for path in (self.etc / "credentials").iterdir()}

    def tree(self) -> dict[str, tuple[int, str]]:
        """Return mode and content of each file and folder below /etc."""
        return {
            str(path.relative_to(self.root)): (path.stat().st_mode, path.read_text() if path.is_file() else "")
            for path in sorted((self.root / "etc").rglob("*"))
        }


@contextmanager
def installed(root: Path, server: Server) -> Iterator[Installed]:
    """Make the folders and the service manager; afterwards no daemon of its is alive."""
    for name in ("etc/livekit-device/credentials", "run/livekit-device", "run/systemd/system", "bin"):
        (root / name).mkdir(parents=True)
    (root / "etc/livekit-device/credentials").chmod(0o700)
    (root / "daemon.log").touch()
    for name, text in (("systemctl", _SYSTEMCTL), ("journalctl", _JOURNALCTL)):
        path = root / "bin" / name
        path.write_text(text.format(root=root, checkout=Path(__file__).parents[2], python=sys.executable))
        path.chmod(0o755)
    variables = {
        name: value
        for name, value in daemons.environment(server, "").items()
        if not name.startswith("DEVICE_") and name != "NO_COLOR"
    }
    try:
        yield Installed(root=root, variables=variables | {"PATH": f"{root}/bin:{os.environ['PATH']}", "TERM": "dumb"})
    finally:
        with contextlib.suppress(OSError, ValueError):
            pid = int((root / "pid").read_text())
            os.kill(pid, signal.SIGTERM)
            give_up_at = time.monotonic() + _END_S
            while alive(pid):
                if time.monotonic() > give_up_at:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.02)
