"""Builds the checkout's wheel, and installs it into a machine like a user, with the root's packages."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.machine import Machine
from tests.lab.root import VENV, LabError

CHECKOUT = Path(__file__).parents[2]
COMMAND = "/usr/bin/livekit-device"
UNITS = {
    "livekit-device.service": "/usr/lib/systemd/system/livekit-device.service",
    "livekit-device-import.service": "/usr/lib/systemd/system/livekit-device-import.service",
    "livekit-device.sysusers": "/usr/lib/sysusers.d/livekit-device.conf",
    "livekit-device.tmpfiles": "/usr/lib/tmpfiles.d/livekit-device.conf",
}


@contextmanager
def built_wheel(checkout: Path = CHECKOUT) -> Iterator[Path]:
    """Build the wheel with the development environment's hatchling; it is removed on exit."""
    with tempfile.TemporaryDirectory(prefix="livekit-device-wheel-") as folder:
        build = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
        done = subprocess.run(build, cwd=checkout, env=os.environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"the wheel could not be built:\n{done.stdout}{done.stderr}")
        (wheel,) = Path(folder).glob("*.whl")
        yield wheel


def install_package(machine: Machine, wheel: Path) -> None:
    """Install only the wheel: its dependencies must be installed already, which the lab checks."""
    inside = f"/opt/{wheel.name}"
    machine.install({inside: wheel.read_bytes()})
    pip = (f"{VENV}/bin/pip", "--disable-pip-version-check", "install")
    machine.run((*pip, "--no-index", "--no-deps", "--force-reinstall", inside), timeout_s=120)
    machine.run(("ln", "-sfn", f"{VENV}/bin/livekit-device", COMMAND))  # where the unit looks for it


def install_units(machine: Machine, checkout: Path = CHECKOUT) -> None:
    """Install the shipped unit, user and folders like a Debian package."""
    machine.install({path: (checkout / "systemd" / name).read_text() for name, path in UNITS.items()})
    machine.run(("systemd-sysusers", UNITS["livekit-device.sysusers"]))
    machine.run(("systemd-tmpfiles", "--create", UNITS["livekit-device.tmpfiles"]))
    machine.systemctl("daemon-reload")
