"""The file on the boot partition under the real systemd: the oneshot unit, its sandbox, and the service after it."""

import json
import shlex
from collections.abc import Iterator

import pytest

from tests.lab.conftest import Record
from tests.lab.machine import Machine
from tests.lab.service import CONFIG, CREDENTIALS, UNIT, Service

IMPORT = "livekit-device-import.service"
FIRMWARE = "/boot/firmware"
FILE = f"{FIRMWARE}/LiveKit-Device.toml.txt"
LOG = f"{FIRMWARE}/livekit-device.log"
STAGING = "/etc/livekit-device/.transaction"
KILLED = f"/run/systemd/system/{IMPORT}.d/killed.conf"


def shell(machine: Machine, script: str) -> str:
    return machine.run(("sh", "-c", script), check=False).stdout.strip()


@pytest.fixture
def card(service: Service) -> Iterator[Service]:
    """Mount a boot partition of the machine's own, in memory and read-only as people have it."""
    machine = service.machine
    machine.run(("sh", "-c", f"mkdir -p {FIRMWARE} && mount -t tmpfs card {FIRMWARE}"))
    yield service
    shell(machine, f"umount {FIRMWARE}; umount /etc/livekit-device; rm -rf {KILLED} {STAGING}")
    machine.systemctl("daemon-reload")
    machine.systemctl("reset-failed", IMPORT, check=False)


def boot_file(service: Service, **room: str) -> str:
    named = {"url": service.server.url, "name": service.room} | room
    lines = [f"{key} = {json.dumps(value)}" for key, value in named.items()]
    return "\n".join(
        (
            "[room]",
            *lines,
            "[credentials]",
            f'api_key = "{service.server.api_key}"',
            f'api_secret = "{service.server.api_secret}"',
            '[camera]\nsource = "pattern"\nwidth = 320\nheight = 240\nfps = 10\n[microphone]\nsource = "tone"\n',
        )
    )


def put(service: Service, text: str) -> None:
    service.machine.install({FILE: text})
    service.machine.run(("mount", "-o", "remount,ro", FIRMWARE))


def on_card(machine: Machine) -> str:
    return shell(machine, f"ls {FIRMWARE}; grep -o ' {FIRMWARE} r[ow]' /proc/self/mountinfo")


def test_without_a_file_no_process_is_started(card: Service, record: Record) -> None:
    machine = card.machine
    machine.systemctl("start", IMPORT)
    result = {each: machine.show(IMPORT, each) for each in ("ConditionResult", "ExecMainPID", "ActiveState")}
    record(
        "boot file: none; the import's unit",
        result,
        must="its condition ends it; no process",
        ok=result == {"ConditionResult": "no", "ExecMainPID": "0", "ActiveState": "inactive"},
    )


def test_a_start_of_the_service_imports_and_goes_on_with_it(card: Service, record: Record) -> None:
    machine = card.machine
    put(card, boot_file(card))
    with card.following() as journal:
        machine.systemctl("start", UNIT)
        journal.event("device.state", new="live")
        left, log = on_card(machine), shell(machine, f"cat {LOG}")
        modes = shell(machine, f"stat -c '%a %U %n' {CONFIG} {CREDENTIALS} {CREDENTIALS}/*")
        logged = " ".join(str(entry["MESSAGE"]) for entry in machine.journal(IMPORT))
    record(
        "boot file on a read-only partition: the service; the partition after it; the configuration",
        f"live; {left.split()}; {log.splitlines()[0]}; {modes.splitlines()}",
        must="live; the log alone, read-only; 644 root, 700 root, 600 root",
        ok=left.split() == ["livekit-device.log", FIRMWARE, "ro"]
        and [line.split()[:2] for line in modes.splitlines()]
        == [["644", "root"], ["700", "root"], ["600", "root"], ["600", "root"]]
        and card.server.api_secret not in logged + log,
    )


def test_a_mistake_leaves_the_old_configuration_at_work(card: Service, record: Record) -> None:
    machine = card.machine
    card.configure(camera={"source": "pattern", "width": 320, "height": 240, "fps": 10}, microphone={"source": "tone"})
    card.give_credentials()
    put(card, boot_file(card).replace("fps = 10", "fps = 0"))
    with card.following() as journal:
        machine.systemctl("start", UNIT)
        journal.event("device.state", new="live")
        left, log = on_card(machine), shell(machine, f"cat {LOG}")
        result = machine.show(IMPORT, "ExecMainStatus")
    record(
        "boot file with a mistake: the service; the partition after it; its log",
        f"live with the old one; {left.split()}; exit {result}; {log.splitlines()[-1]}",
        must="live; file and log, read-only; 78; camera.fps",
        ok=left.split()[:2] == ["LiveKit-Device.toml.txt", "livekit-device.log"]
        and left.split()[-1] == "ro"
        and result == "78"
        and "camera.fps: is too small" in log,
    )


@pytest.mark.parametrize("killed", (False, True))
def test_an_interrupted_change_is_finished_before_the_service_starts(
    card: Service, record: Record, *, killed: bool
) -> None:
    """At the next start; and if the import itself was killed, by what systemd runs after it."""
    machine = card.machine
    staged = f"{STAGING}/0"
    journal_text = json.dumps({"version": 1, "steps": [{"target": CONFIG, "staged": "0"}]})
    text = boot_file(card, identity="finished").replace("[credentials]", "[log]\n[credentials]")
    config = text.replace(f'api_key = "{card.server.api_key}"\n', "").replace(
        f'api_secret = "{card.server.api_secret}"\n', ""
    )
    card.configure(room={"identity": "old"})
    card.give_credentials()
    interrupt = "\n".join(
        (
            f"mkdir -m 700 {STAGING}",
            f"printf %s {shlex.quote(config)} >{staged} && chmod 644 {staged}",
            f"printf %s {shlex.quote(journal_text)} >{STAGING}/journal",
        )
    )
    if killed:
        machine.install({"/run/interrupt": f"{interrupt}\nkill -9 $$\n"})
        machine.install({KILLED: "[Service]\nExecStart=\nExecStart=/bin/sh /run/interrupt\n"})
        machine.install({FILE: "a file, which the condition wants\n"})
        machine.run(("chmod", "644", "/run/interrupt"))
        machine.systemctl("daemon-reload")
    else:
        shell(machine, interrupt)
    with card.following() as journal:
        machine.systemctl("start", UNIT)
        journal.event("device.state", new="live", identity="finished")
    left = shell(machine, f"ls -A {STAGING}")
    record(
        f"boot file: a change interrupted after its commit{', by SIGKILL' if killed else ''}; the service",
        f"live with the new configuration; {left or 'nothing'} left of it",
        must="live with the new one; nothing",
        ok=not left,
    )


def test_where_etc_is_volatile_the_file_stays(card: Service, record: Record) -> None:
    machine = card.machine
    machine.run(("mount", "-t", "tmpfs", "-o", "mode=755", "volatile", "/etc/livekit-device"))
    put(card, boot_file(card))
    with card.following() as journal:
        machine.systemctl("start", UNIT)
        journal.event("device.state", new="live")
        left, log = on_card(machine), shell(machine, f"cat {LOG}")
    record(
        "boot file, /etc/livekit-device on tmpfs: the service; the partition after it",
        f"live; {left.split()}; {log.splitlines()[-1]}",
        must="live; file and log, read-only",
        ok=left.split() == ["LiveKit-Device.toml.txt", "livekit-device.log", FIRMWARE, "ro"]
        and "is lost at a restart (tmpfs)" in log,
    )
