"""`devices` and `check` in the machine, as an operator runs them; and the versions of all packages."""

import json
import subprocess
import time

from tests.lab import stand_ins
from tests.lab.conftest import Record
from tests.lab.machine import Machine
from tests.lab.root import VENV
from tests.lab.service import COMMAND, MICROPHONE, STATE, Service

# Debian's package names, and the modules to import.
DEBIAN = {
    "aiohttp": "python3-aiohttp",
    "av": "python3-av",
    "jwt": "python3-jwt",
    "numpy": "python3-numpy",
    "PIL": "python3-pil",
    "pyaudio": "python3-pyaudio",
    "pydantic_settings": "python3-pydantic-settings",
    "structlog": "python3-structlog",
}
WHERE = """
import importlib, json, sys
print(json.dumps({name: importlib.import_module(name).__file__ for name in sys.argv[1:]}))
"""


def command(machine: Machine, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as root; in the service's sandbox the stand-ins come by the drop-in."""
    environment = {"LD_PRELOAD": stand_ins.PRELOAD}
    return machine.run((COMMAND, *arguments), env=environment, check=False, timeout_s=90)


def rows(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    return {line.split()[1]: line for line in done.stdout.splitlines() if len(line.split()) > 1}


def test_devices(service: Service, record: Record) -> None:
    text = command(service.machine, "devices").stdout
    found = json.loads(command(service.machine, "devices", "--json").stdout)
    microphones = {each["name"]: (each["rate"], each["channels"]) for each in found["microphones"]}
    record(
        "devices: camera with modes; microphones by name with rates; encoders",
        f"{found['cameras'][0]['name']}: … {found['cameras'][0]['modes'][-22:]}; {microphones}; "
        f"{[each['name'] for each in found['encoders']]}",
        must="Virtual Video Device with its modes; 3 microphones with rate and channels; v4l2 and x264",
        ok="1920x1080" in found["cameras"][0]["modes"]
        and microphones == {"labmic": (48000, 1), "labmic44": (44100, 1), "labstereo": (48000, 2)}
        and [each["name"] for each in found["encoders"]] == ["v4l2", "x264"]
        and all(name in text for name in ("Virtual Video Device", "labstereo", "x264")),
    )


def test_check_with_the_service_stopped(service: Service, record: Record) -> None:
    service.configure(camera={}, microphone=MICROPHONE)
    service.give_credentials()
    done = command(service.machine, "check")
    found = rows(done)
    record(
        "check, service stopped, as root: signs of its rows, exit code",
        f"{ {name: line.split()[0] for name, line in found.items()} }, {done.returncode}"
        + "".join(f"; {line}" for line in found.values() if line.split()[0] != "✓"),
        must="✓ for all, with camera, encoder, microphone, picture and sound; 0; in the service's sandbox",
        ok=done.returncode == 0
        and "this runs as livekit-device, in the sandbox of livekit-device.service" in found["file"]
        and {"camera", "encoder", "microphone", "picture", "sound"} <= set(found)
        and all(line.split()[0] == "✓" for line in found.values())
        and service.server.api_secret not in done.stdout + done.stderr,
    )


def test_check_while_the_service_runs(service: Service, record: Record) -> None:
    with service.running(camera={}) as journal:
        journal.event("device.state", new="live")
        done = command(service.machine, "check")
        found = rows(done)
        held = [name for name, line in found.items() if "held by the running service" in line]
        state = json.loads(service.machine.run(("cat", STATE)).stdout)
        disturbed = [line["event"] for line in journal.lines if line.get("event") in ("worker.restarting", "room.left")]
        record(
            "check while the service runs: rows that say that it holds the device; exit code; the service",
            f"{held}; {done.returncode}; {disturbed or 'undisturbed'}, state {state['state']}",
            must="camera, encoder, microphone; 0; undisturbed, live",
            ok=held == ["camera", "encoder", "microphone"]
            and done.returncode == 0
            and not disturbed
            and state["state"] == "live",
        )


def test_check_while_the_service_has_no_camera(service: Service, record: Record) -> None:
    with service.running(camera={"device": "imx999"}) as journal:
        journal.event("worker.restarting", worker="camera", why="imx999")
        done = command(service.machine, "check")
        line, encoder = rows(done)["camera"], rows(done)["encoder"]
        record(
            "check while the service lacks its camera",
            f"{line}; {encoder}; exit {done.returncode}",
            must="a cross and the service's own words, the encoder left to it; 1",
            ok=line.split()[0] == "✗"
            and "absent: " in line
            and "imx999" in line
            and encoder.startswith("- encoder")
            and "in use by the running service" in encoder
            and done.returncode == 1,
        )


def test_versions_are_debians(machine: Machine, record: Record) -> None:
    python = f"{VENV}/bin/python"
    places = json.loads(machine.run((python, "-c", WHERE, *DEBIAN)).stdout)
    query = ("dpkg-query", "--show", "--showformat=${Package} ${Version}\n", *DEBIAN.values())
    versions = dict(line.split() for line in machine.run(query).stdout.splitlines())
    record(
        "the libraries in the lab's root",
        ", ".join(f"{name} {version}" for name, version in versions.items()),
        must="Debian's own, from dist-packages",
        ok=all(place.startswith("/usr/lib/python3/dist-packages/") for place in places.values()),
    )


def test_help_is_quick_and_needs_no_device(machine: Machine) -> None:
    began = time.monotonic()
    assert "livekit-device" in machine.run((COMMAND, "--help")).stdout
    assert time.monotonic() - began < 10
