"""The offline archive on a machine that has nothing but a minimal Debian: installed, not set up, then a picture."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from device.lifecycle.not_set_up import STATUS
from tests.install import packages
from tests.install.box import COMMAND, CONFIG, CREDENTIALS, ETC, LIVE, UNIT, Box
from tests.install.conftest import Record
from tests.install.document import commands
from tests.install.picture import nobody, seen
from tests.support.livekit_server import Server

INSTALL_S = 300  # measured 40
IDLE_S, IDLE_PROCESSOR_S = 5, 0.05
OTHER = f"{ETC}/other.toml"
DROP_IN = f"/etc/systemd/system/{UNIT}.d/other.conf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A machine after the archive's installer: how long that took, and how the service was right after it."""

    box: Box
    took_s: float
    enabled: str
    state: tuple[str, ...]
    status: str


@pytest.fixture(scope="module")
def installed(bare_root: Path) -> Iterator[Installed]:
    """Run docs/packages.md word for word, without any network but the machine's loopback."""
    archive = packages.offline_archive()
    version, architecture = archive.name.split("_")[1:3]
    steps = [
        each.replace("VERSION", version).replace("arm64", architecture)
        for each in commands("docs/packages.md", "Install without a network")
        if not each.startswith("make")
    ]
    assert len(steps) == 2
    with Box(bare_root, archive) as box:
        began = time.monotonic()
        for step in steps:
            box.type(step.replace("sudo", "sudo unshare --net"))
        yield Installed(
            box=box,
            took_s=time.monotonic() - began,
            enabled=box.is_enabled(),
            state=box.unit("ActiveState", "SubState", "NRestarts"),
            status=box.status(),
        )


def test_the_archive_installs_without_a_network_and_the_service_waits_for_setup(
    installed: Installed, record: Record
) -> None:
    box = installed.box
    record(
        "offline archive on a minimal Debian, no network: time; the service after it",
        f"{installed.took_s:.0f} s; {installed.enabled}; {', '.join(installed.state)}; {installed.status}",
        must=f"below {INSTALL_S} s; enabled; active, running, 0; {STATUS}",
        ok=installed.took_s < INSTALL_S
        and installed.enabled == "enabled"
        and installed.state == ("active", "running", "0")
        and installed.status == STATUS,
    )
    files, line = box.type(f"find {ETC} -mindepth 1 -printf '%P %m %u '").strip(), _status_line(box)
    record(
        "after it: files in /etc/livekit-device; the line that `systemctl status` shows",
        f"{files}; {line}",
        must="the folder of credentials alone, root's; the status",
        ok=files == "credentials 700 root" and line == f'Status: "{STATUS}"',
    )


def test_a_service_that_is_not_set_up_has_no_worker_no_connection_and_takes_no_processor_time(
    installed: Installed, record: Record
) -> None:
    box = installed.box
    processes, sockets, took_s = box.processes(), box.internet_sockets(), box.processor_s(over_s=IDLE_S)
    record(
        f"not set up: processes; internet sockets; processor time in {IDLE_S} s",
        f"{len(processes)}; {sockets or 'none'}; {took_s * 1000:.0f} ms",
        must=f"1; none; at most {IDLE_PROCESSOR_S * 1000:.0f} ms",
        ok=len(processes) == 1 and not sockets and took_s <= IDLE_PROCESSOR_S,
    )


def test_a_named_configuration_that_is_missing_ends_with_78(installed: Installed, record: Record) -> None:
    box = installed.box
    typed = box.try_out(f"{COMMAND} run --config {OTHER}")
    box.machine.install({DROP_IN: f"[Service]\nEnvironment=DEVICE_CONFIG={OTHER}\n"})
    box.machine.systemctl("daemon-reload")
    try:
        box.machine.systemctl("restart", UNIT, check=False)
        box.machine.wait_for(lambda: box.unit("ActiveState") == ("failed",), timeout_s=10, what="the unit to fail")
        state = box.unit("SubState", "ExecMainStatus", "NRestarts")
    finally:
        box.type(f"rm {DROP_IN} && systemctl daemon-reload && systemctl restart {UNIT}")
    record(
        "a named configuration that is missing: exit code, words; the unit that names it; without the name again",
        f"{typed.returncode}, {typed.stdout.strip()}; {', '.join(state)}; {box.status()}",
        must=f"78, its name; failed, 78, 0 restarts; {STATUS}",
        ok=typed.returncode == 78
        and OTHER in typed.stdout
        and state == ("failed", "78", "0")
        and box.status() == STATUS,
    )


def test_configuration_credentials_and_a_restart_bring_the_picture(
    installed: Installed, livekit_server: Server, room: str, record: Record
) -> None:
    box = installed.box

    def set_up() -> None:
        box.configure(livekit_server, room)
        box.machine.systemctl("restart", UNIT)

    sight = seen(livekit_server, room, set_up)
    box.until_status(LIVE)
    record(
        "configuration and credentials written, service restarted: what a viewer sees; the status line",
        f"{sight}; {_status_line(box)}",
        must="picture and sound; live",
        ok=sight.size == (640, 480) and sight.sound and _status_line(box) == f'Status: "{LIVE}"',
    )
    record(
        "from the start of the installation to the picture, with the configuration written at once",
        f"{(installed.took_s + sight.first_s) / 60:.1f} minutes",
        must="below 10",
        ok=installed.took_s + sight.first_s < 600,
    )
    box.type(f"rm {CONFIG} {CREDENTIALS}/* && systemctl restart {UNIT}")
    assert box.status() == STATUS
    assert nobody(livekit_server, room)


def _status_line(box: Box) -> str:
    lines = box.try_out(f"systemctl status {UNIT}").stdout.splitlines()
    return next((line.strip() for line in lines if "Status:" in line), "")
