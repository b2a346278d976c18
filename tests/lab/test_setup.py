"""`livekit-device setup` in the machine: its terminal, its camera and microphone, and the shipped unit."""

import time

from tests.lab import stand_ins
from tests.lab.conftest import Record
from tests.lab.machine import PATH
from tests.lab.service import COMMAND, CONFIG, CREDENTIALS, UNIT, Service
from tests.support.conversation import Conversation, conversation


def _variables() -> dict[str, str]:
    return {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", "TERM": "vt220"}


def _command(*arguments: str) -> list[str]:
    # As root with the stand-ins for hardware, which the unit has by its drop-in.
    return ["env", f"LD_PRELOAD={stand_ins.PRELOAD}", COMMAND, "setup", *arguments]


def _choose(talk: Conversation, question: str, label: str) -> None:
    talk.expect(question, within_s=90)
    talk.expect("Number [1]: ")
    shown = talk.text[talk.text.rindex(question) :]
    number = next(line.split(")")[0].strip() for line in shown.splitlines() if label in line)
    talk.send(f"{number}\n")


def test_from_nothing_to_live_and_once_more(service: Service, record: Record) -> None:
    machine, server = service.machine, service.server
    machine.run(("rm", "-rf", CREDENTIALS))
    began = time.monotonic()
    with conversation(*machine.command(_command()), variables=_variables()) as talk:
        talk.answer("Server: ", server.url)
        _choose(talk, "Where does it come from?", "API key")
        talk.answer("Room: ", service.room)
        talk.answer("API key: ", server.api_key)
        talk.answer_unseen("API secret (not shown): ", server.api_secret)
        talk.answer("Name that viewers see", "Lab")
        talk.answer("Identity", "device")
        _choose(talk, "Which camera?", "Virtual Video Device")
        _choose(talk, "Which microphone?", "labmic")
        talk.expect("Written: ")
        talk.expect("live: everything is published", within_s=90)
        code = talk.end()
    took_s = time.monotonic() - began
    owners = machine.run(("sh", "-c", f"stat -c '%n %a %U' {CONFIG} {CREDENTIALS} {CREDENTIALS}/*")).stdout
    record(
        "setup: from nothing to live, answers typed at once",
        f"{took_s:.0f} s, exit {code}, unit {machine.show(UNIT, 'ActiveState')}",
        must="exit 0, active, below 90 s",
        ok=code == 0 and machine.show(UNIT, "ActiveState") == "active" and took_s < 90,
    )
    assert owners.splitlines() == [
        f"{CONFIG} 644 root",
        f"{CREDENTIALS} 700 root",
        f"{CREDENTIALS}/api_key 600 root",
        f"{CREDENTIALS}/api_secret 600 root",
    ], owners
    assert server.api_secret not in talk.text
    # Replaced beneath the running service, whose own mounts hold the folder of credentials.
    before = machine.show(UNIT, "MainPID")
    done = machine.run(_command("--yes", "--name", "Lab two"), check=False, timeout_s=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "live: everything is published" in done.stdout
    assert machine.show(UNIT, "MainPID") != before
    assert 'display_name = "Lab two"' in machine.run(("cat", CONFIG)).stdout
    there = set(machine.run(("ls", "-A", "/etc/livekit-device")).stdout.split())
    assert {"credentials", "device.toml"} <= there
    assert not any(name.startswith(".") for name in there), there
    assert machine.run(("ls", "-A", "/run/livekit-device-setup")).stdout == ""
    report = machine.run((COMMAND, "report", "--output", "-"), timeout_s=120).stdout
    assert "not available" not in report, report
    assert server.api_secret not in report
    assert all(each in report for each in ("ActiveState=active", "state: live", "daemon.starting", "✓ token"))
