"""An installation as the README had it before there was a package: /opt and units in /etc, without any network."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.install.box import UNIT, Box

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.install.packages import Package

OPT = "/opt/livekit-device"
UNITS = Path(__file__).parent / "before"
_EVERY_S = 0.1
# pip would fetch from the network what the package has in it; the launcher names the environment that it is in.
_ENVIRONMENT = f"""
dpkg-deb -x PACKAGE /tmp/unpacked && mv /tmp/unpacked/usr/lib/livekit-device {OPT} && rm -r /tmp/unpacked
sed -i '1s|.*|#!{OPT}/bin/python3|' {OPT}/bin/livekit-device
"""


def install_by_hand(box: Box, package: Package, *, unit: str = UNIT, edit: str = "") -> None:
    """Install below /opt, with a unit of a name, and `edit` at its end."""
    box.type(_ENVIRONMENT.replace("PACKAGE", package.path.name))
    files = {
        f"/etc/systemd/system/{unit}": (UNITS / UNIT).read_text() + edit,
        "/etc/sysusers.d/livekit-device.conf": (UNITS / "livekit-device.sysusers").read_text(),
        "/etc/tmpfiles.d/livekit-device.conf": (UNITS / "livekit-device.tmpfiles").read_text(),
    }
    box.machine.install(files)
    box.type("systemd-sysusers && systemd-tmpfiles --create livekit-device.conf && systemctl daemon-reload")


@contextmanager
def all_daemons(box: Box) -> Iterator[list[set[str]]]:
    """Collect what runs livekit-device, ten times a second; each change is one entry."""
    found: list[set[str]] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(_EVERY_S):
            daemons = box.daemons()
            if not found or found[-1] != daemons:
                found.append(daemons)

    thread = threading.Thread(target=look, name="daemons")
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
