"""Commands of the configuration under the shipped unit: its sandbox, and a device that a drop-in allows."""

from tests.lab.conftest import Record
from tests.lab.machine import processes_of
from tests.lab.service import COMMAND, UNIT, Service

NODE = "/dev/gpiochip0"  # a stand-in without a driver: opening it fails with ENODEV, if it is allowed
LOOK = "id -un; pwd; env | cut -d= -f1 | sort | xargs; ls /proc/self/fd | wc -l; touch /etc/x /tmp/x; echo $?"
COMMANDS = {
    "look": {"run": ["/bin/sh", "-c", LOOK]},
    "lamp": {"run": ["/bin/dd", "if=/dev/null", "conv=notrunc", "of={chip}"], "arguments": {"chip": [NODE]}},
    "hang": {"run": ["/bin/sh", "-c", "trap '' TERM; sleep 987 & sleep 987"], "timeout_s": 0.5},
}
DROP_IN = (f"DeviceAllow={NODE} rw", "SupplementaryGroups=gpio")  # as docs/commands.md has it
SYNTHETIC = {"camera": {"source": "pattern", "width": 320, "height": 240, "fps": 5}, "microphone": None}


def run(service: Service, *words: str) -> tuple[int, str]:
    done = service.machine.run((COMMAND, "run", *words), check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_command_runs_in_the_units_sandbox(service: Service, record: Record) -> None:
    machine = service.machine
    machine.run(("sh", "-c", f"groupadd -f gpio; rm -f {NODE}; mknod -m 660 {NODE} c 10 229; chgrp gpio {NODE}"))
    try:
        with service.running(**SYNTHETIC, commands=COMMANDS) as journal:
            journal.event("control.listening")
            looked = run(service, "look")[1].splitlines()
            record(
                "a command's user, folder, variables, descriptors; whether it may write to /etc",
                f"{', '.join(looked[:4])}; {looked[4]}",
                must="livekit-device, /, LANG PATH PWD (of the shell), 4 (one is of ls); Read-only file system",
                ok=looked[:4] == ["livekit-device", "/", "LANG PATH PWD", "4"]
                and "Read-only file system" in looked[4]
                and looked[5] == "1",
            )
            code, text = run(service, "hang")
            left = [pid for pid in processes_of(machine, UNIT) if "sleep" in command_line(service, pid)]
            record(
                "a command that ignores SIGTERM, with a child: exit code and text after 0.5 s; processes left",
                f"{code}, {text.strip()}; {len(left)}",
                must="1, killed; 0",
                ok=(code, left) == (1, []) and "hang: killed after 0." in text,
            )
            refused = run(service, "lamp", f"chip={NODE}")[1]
        service.drop_in(*DROP_IN)
        with service.following() as journal:
            machine.systemctl("start", UNIT)
            journal.event("control.listening")
            allowed = run(service, "lamp", f"chip={NODE}")[1]
        record(
            f"a command opens {NODE} without and with the documented drop-in",
            f"{_reason(refused)}; {_reason(allowed)}",
            must="refused; not refused (the stand-in has no driver: No such device)",
            ok=_reason(refused) in ("Permission denied", "Operation not permitted")
            and _reason(allowed) in ("No such device", ""),
        )
    finally:
        machine.run(("rm", "-f", NODE))


def command_line(service: Service, pid: int) -> str:
    return service.machine.run(("cat", f"/proc/{pid}/cmdline"), check=False).stdout


def _reason(text: str) -> str:
    """Return the system's text in what dd prints; empty if it has opened the file."""
    lines = [line for line in text.splitlines() if "failed to open" in line]
    return lines[0].rpartition(": ")[2] if lines else ""
