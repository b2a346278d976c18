"""The permissions of a process in the shipped unit; a probe runs in a copy of it with another ExecStart."""

import errno
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.lab.conftest import Record
from tests.lab.machine import Machine
from tests.lab.package import CHECKOUT, install_units
from tests.lab.root import VENV, LabError

UNIT = "lab-probe.service"
CREDENTIALS = "/etc/livekit-device/credentials"
PROBE = """
import errno, json, os, pathlib, socket

def attempt(action, *args):
    try:
        os.close(action(*args))
    except OSError as error:
        return error.errno
    return 0

def touch(path):
    return attempt(os.open, path, os.O_CREAT | os.O_WRONLY)

credentials = pathlib.Path(os.environ["CREDENTIALS_DIRECTORY"])
folders = ("/etc", "/etc/livekit-device", "/opt", "/run", "/usr", "/var", "/home", "/root",
           "/tmp", "/var/lib/livekit-device", "/run/livekit-device")
print(json.dumps({
    "credentials": {path.name: path.read_text() for path in credentials.iterdir()},
    "credentials_folder": attempt(os.open, "/etc/livekit-device/credentials", os.O_RDONLY),
    "writable": [folder for folder in folders if touch(folder + "/probe") == 0],
    "misc": attempt(os.open, "/dev/lab-misc", os.O_RDWR),
    "null": attempt(os.open, "/dev/null", os.O_RDWR),
    "user": os.getuid(),
}), flush=True)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
"""

Probe = Callable[..., dict[str, Any]]


@pytest.fixture
def probe(bare_machine: Machine) -> Iterator[Probe]:
    """Return a function that starts the probe with additional lines in its unit, and returns its output."""
    install_units(bare_machine)
    shipped = (CHECKOUT / "systemd/livekit-device.service").read_text().splitlines()
    lines = [line for line in shipped if not line.startswith(("ExecStart=", "Restart="))]
    lines.insert(lines.index("[Service]") + 1, f"ExecStart={VENV}/bin/python /opt/lab/probe.py")
    bare_machine.run(("sh", "-c", "test -e /dev/lab-misc || mknod -m 666 /dev/lab-misc c 10 229"))
    bare_machine.install({"/opt/lab/probe.py": PROBE})

    def start(*more: str) -> dict[str, Any]:
        unit = "\n".join(lines).replace("[Service]", "\n".join(("[Service]", "RemainAfterExit=yes", *more)))
        bare_machine.install({f"/etc/systemd/system/{UNIT}": unit})
        bare_machine.systemctl("daemon-reload")
        bare_machine.systemctl("restart", UNIT)
        printed = [entry["MESSAGE"] for entry in bare_machine.journal(UNIT)]
        seen: dict[str, Any] = json.loads([text for text in printed if text.startswith("{")][-1])
        return seen

    yield start
    bare_machine.systemctl("stop", UNIT)
    bare_machine.run(("sh", "-c", f"rm -rf {CREDENTIALS}/*"))


def test_writes_only_into_its_own_folders(probe: Probe, record: Record) -> None:
    seen = probe()
    record(
        "folders that a process of the unit can write to; its user",
        f"{', '.join(seen['writable'])}; {seen['user']}",
        must="its own three; not 0",
        ok=seen["writable"] == ["/tmp", "/var/lib/livekit-device", "/run/livekit-device"] and seen["user"] != 0,
    )


def test_only_the_devices_it_needs(probe: Probe, record: Record) -> None:
    seen, with_misc = probe(), probe("DeviceAllow=char-misc rw")
    record(
        "DeviceAllow: /dev/null, a misc device, the same device once it is allowed",
        ", ".join(errno.errorcode.get(code, "opened") for code in (seen["null"], seen["misc"], with_misc["misc"])),
        must="opened, EPERM, not EPERM (no driver is there: ENODEV)",
        ok=(seen["null"], seen["misc"]) == (0, errno.EPERM) and with_misc["misc"] != errno.EPERM,
    )


def test_credentials_come_from_the_folder_which_stays_closed(bare_machine: Machine, probe: Probe) -> None:
    assert probe()["credentials"] == {}
    bare_machine.install({f"{CREDENTIALS}/api_key": "K", f"{CREDENTIALS}/api_secret": "S"}, mode=0o600)
    seen = probe()
    assert seen["credentials"] == {"livekit_api_key": "K", "livekit_api_secret": "S"}
    assert seen["credentials_folder"] == errno.EACCES


def test_an_encrypted_credential_joins_the_folder_by_name(bare_machine: Machine, probe: Probe) -> None:
    bare_machine.install({f"{CREDENTIALS}/api_key": "K"}, mode=0o600)
    encrypted = "/etc/livekit-device/token.cred"
    encrypt = ("systemd-creds", "encrypt", "--name=livekit_token", "-", encrypted)
    bare_machine.run(encrypt, stdin="T")
    seen = probe(f"LoadCredentialEncrypted=livekit_token:{encrypted}")
    assert seen["credentials"] == {"livekit_api_key": "K", "livekit_token": "T"}


def test_a_missing_credentials_folder_does_not_stop_the_unit(bare_machine: Machine, probe: Probe) -> None:
    bare_machine.run(("rm", "-rf", CREDENTIALS))
    assert probe()["credentials"] == {}
    install_units(bare_machine)


def test_a_credential_encrypted_for_another_name_is_reported(bare_machine: Machine, probe: Probe) -> None:
    encrypted = "/etc/livekit-device/other.cred"
    bare_machine.run(("systemd-creds", "encrypt", "--name=other", "-", encrypted), stdin="T")
    with pytest.raises(LabError):
        probe(f"LoadCredentialEncrypted=livekit_token:{encrypted}")
    messages = [entry["MESSAGE"] for entry in bare_machine.journal(UNIT)]
    assert "Embedded credential name 'other' does not match filename 'livekit_token', refusing." in messages
    assert bare_machine.show(UNIT, "ExecMainStatus") == "243"
