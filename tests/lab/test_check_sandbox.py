"""`check` as root in the machine: it runs as the service's user in its sandbox, and leaves the service alone."""

import os
import pty
import select
import subprocess
import time

from tests.lab import stand_ins
from tests.lab.conftest import Record
from tests.lab.machine import PATH, Machine
from tests.lab.service import COMMAND, STATE, UNIT, Service
from tests.lab.test_check import command, rows

SYNTHETIC = {"camera": {"source": "pattern"}, "microphone": {"source": "tone"}}
GREEN = "\x1b[32m"


def test_files_that_the_sandbox_hides_are_named(service: Service, record: Record) -> None:
    machine = service.machine
    machine.install({"/home/pi/film.mp4": "a film", "/root/secret": service.server.api_secret})
    service.configure(
        camera={"source": "file", "path": "/home/pi/film.mp4"},
        credentials={"api_key": service.server.api_key, "api_secret_file": "/root/secret"},
    )
    inside, outside = command(machine, "check"), command(machine, "check", "--no-sandbox")
    found = [line for line in inside.stdout.splitlines() if line.split()[1] == "sandbox"]
    record(
        "check, with a film in /home and a secret in /root: its rows, exit code; their sign with --no-sandbox",
        f"{found}, {inside.returncode}; {rows(outside)['sandbox'].split()[0]}",
        must="a cross for each, with the folder; 1; a warning",
        ok=inside.returncode == 1
        and [line.split()[0] for line in found] == ["✗", "✗"]
        and "api_secret_file: the service does not see /root; put the file under /var/lib/livekit-device" in found[0]
        and "camera.path: the service does not see /home" in found[1]
        and rows(outside)["sandbox"].split()[0] == "!"
        and "No such file" not in inside.stdout
        and service.server.api_secret not in inside.stdout,
    )


def test_a_configuration_that_the_sandbox_hides_is_named(service: Service, record: Record) -> None:
    service.machine.install({"/root/device.toml": '[room]\nurl = "ws://h"\n'})
    done = command(service.machine, "check", "--config", "/root/device.toml")
    record(
        "check --config /root/device.toml",
        f"{done.stdout.strip()}; {done.returncode}",
        must="the service does not see /root; 1",
        ok=done.returncode == 1 and "the service does not see /root" in done.stdout,
    )


def test_the_services_runtime_folder_outlives_a_check(service: Service, record: Record) -> None:
    with service.running(**SYNTHETIC) as journal:
        journal.event("device.state", new="live")
        pid = service.main_pid()
        done = command(service.machine, "check")
        state = service.machine.run(("cat", STATE), check=False).returncode
        left = service.machine.systemctl("list-units", "--all", "--no-legend", "livekit-device-check*")
        record(
            "check while the service runs: its exit code; the service's state file; its pid; units that are left",
            f"{done.returncode}; {'there' if state == 0 else 'gone'}; {service.main_pid() == pid}; {left or 'none'}",
            must="0; there; the same; none",
            ok=done.returncode == 0 and state == 0 and service.main_pid() == pid and not left,
        )


def test_another_user_is_told_where_it_runs(service: Service, record: Record) -> None:
    service.configure(**SYNTHETIC)
    service.give_credentials()
    done = service.machine.run(("setpriv", "--reuid=nobody", "--clear-groups", COMMAND, "check"), check=False)
    line = rows(done)["file"]
    record(
        "check as another user: its first row",
        line,
        must="outside of the sandbox, and what to do",
        ok="this runs as nobody, outside the service's sandbox" in line and "as root `check` runs inside" in line,
    )


def on_a_terminal(machine: Machine, *, until: str, then: bytes) -> tuple[str, int]:
    """Run the check on a terminal of its own, type something once a text appears; return the output and exit code."""
    ours, theirs = pty.openpty()
    environment = {"PATH": PATH, "LC_ALL": "C.UTF-8", "TERM": "xterm", "LD_PRELOAD": stand_ins.PRELOAD}
    process = subprocess.Popen(
        ("setsid", "--ctty", *machine.command((COMMAND, "check"))),
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen, typed, give_up_at = "", False, time.monotonic() + 60
    while time.monotonic() < give_up_at:
        if not select.select([ours], [], [], 1.0)[0]:
            continue
        try:
            data = os.read(ours, 65536)
        except OSError:  # the last one with the terminal has ended
            break
        seen += data.decode(errors="replace")
        if until in seen and not typed:
            typed = True
            os.write(ours, then)
    os.close(ours)
    return seen, process.wait(10)


def test_on_a_terminal_it_has_colours(service: Service, record: Record) -> None:
    service.configure(**SYNTHETIC)
    service.give_credentials()
    seen, code = on_a_terminal(service.machine, until="never", then=b"")
    record(
        "check on a terminal: colours, progress, exit code",
        f"{GREEN in seen}, {', 1 s' in seen}, {code}",
        must="True, True, 0",
        ok=GREEN in seen and ", 1 s" in seen and code == 0,
    )


def test_ctrl_c_ends_it(service: Service, record: Record) -> None:
    service.configure(**SYNTHETIC)
    service.give_credentials()
    seen, code = on_a_terminal(service.machine, until="joined", then=b"\x03")
    began = time.monotonic()
    listed = ("list-units", "--all", "--no-legend", "livekit-device-check*")
    service.machine.wait_for(lambda: not service.machine.systemctl(*listed), timeout_s=10, what="the unit to end")
    processes = service.machine.run(("pgrep", "-f", "device.workers"), check=False).stdout
    record(
        "check, Ctrl-C while it publishes: exit code; seconds until its unit is gone; processes that are left",
        f"{code}; {time.monotonic() - began:.1f}; {processes or 'none'}",
        must="130 (or the signal); below 5; none",
        ok=code in (130, -2) and time.monotonic() - began < 5 and not processes and "Traceback" not in seen,
    )
    assert service.machine.show(UNIT, "ActiveState") == "inactive"
