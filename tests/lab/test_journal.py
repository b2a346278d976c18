"""The unit's journal and files: priorities, no secret, no file outside its own folders."""

import re

from tests.lab.conftest import Record
from tests.lab.package import UNITS
from tests.lab.service import CREDENTIALS, STATE, UNIT, Service

PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
# All files of the unit's user, on a disk, in /run or in /tmp.
OWNED = "find / -user livekit-device ! -path '/proc/*' ! -path '/sys/*' ! -path '/run/credentials/*' -print 2>/dev/null"

OWN = re.compile(r"/(var/lib|run)/livekit-device(/|$)|/tmp/systemd-private-[0-9a-f]+-livekit-device\.service-")


def test_priorities_and_secrets(service: Service, record: Record) -> None:
    """At debug level, with several faults: a worker that dies, an encoder that fails, a restart."""
    with service.running(camera={"width": 640, "height": 480}) as journal:
        journal.event("device.state", new="live")
        service.switch_encoder("gone")
        journal.event("camera.encoder_replaced")
        mark = journal.mark()
        service.kill(service.worker("camera"), "KILL")
        journal.event("worker.restarting", since=mark)
        mark = journal.mark()
        service.kill(service.main_pid(), "TERM")
        journal.event("device.state", new="live", since=mark)
        state = service.machine.run(("cat", STATE)).stdout
        arguments = service.machine.run(("sh", "-c", f"tr '\\0' '\\n' </proc/{service.main_pid()}/cmdline")).stdout
    ours = [line for line in journal.lines if "level" in line]
    wrong = [line["text"] for line in ours if line["priority"] != PRIORITIES[line["level"]]]
    levels = {level: sum(line["level"] == level for line in ours) for level in PRIORITIES}
    record(
        "journal: lines by level; with another priority",
        f"{levels}; {wrong}",
        must="some warnings; none",
        ok=levels["warning"] and not wrong,
    )
    words = f"{service.server.api_secret}\neyJ"
    search = 'journalctl --output=export --all | grep --text --count --fixed-strings --file=/dev/fd/3 3<<<"$0"'
    found = service.machine.run(("bash", "-c", search, words), check=False).stdout.strip()
    outside = [word for word in words.split() if word in state + arguments]
    record(
        "secret or token: lines of the whole journal at debug; in state.json or the arguments",
        f"{found}; {outside or 'none'}",
        must="0; none",
        ok=found == "0" and not outside,
    )


def test_files(service: Service, record: Record) -> None:
    with service.running(camera={"width": 640, "height": 480}) as journal:
        journal.event("device.state", new="live")
        while_running = service.machine.run(("sh", "-c", OWNED), check=False).stdout.split()
    after = service.machine.run(("sh", "-c", OWNED), check=False).stdout.split()
    strays = sorted({path for path in (*while_running, *after) if not OWN.match(path)})
    modes = service.machine.run(("stat", "--format=%a %U %n", CREDENTIALS, "/etc/livekit-device")).stdout.splitlines()
    record(
        "files of the unit's user: running; after; outside its own folders",
        f"{len(while_running)}; {len(after)}; {strays or 'none'}",
        must="none outside; credentials 700 of root",
        ok=not strays and modes[0].startswith("700 root"),
    )


def test_hardening(service: Service, record: Record) -> None:
    unit = UNITS[UNIT]
    verified = service.machine.run(("systemd-analyze", "--man=no", "verify", unit), check=False)
    security = ("systemd-analyze", "security", "--offline=yes", "--no-pager", unit)
    level = next(
        float(line.split(":")[1].split()[0])
        for line in service.machine.run(security).stdout.splitlines()
        if "Overall exposure level" in line
    )
    record(
        "systemd-analyze security --offline=yes; verify",
        f"{level}; {verified.stdout + verified.stderr or 'clean'}",
        must="at most 1.8; clean",
        ok=level <= 1.8 and not verified.stdout + verified.stderr,
    )
