"""Each line of docs/install-checkout.md, on a fresh machine, by a user with `sudo`."""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import stand_ins
from tests.lab.conftest import Record
from tests.lab.equipment import DROP_IN
from tests.lab.machine import Machine
from tests.lab.microphone import Microphones
from tests.lab.package import CHECKOUT
from tests.lab.recipe import FRESH, RECIPE
from tests.lab.root import VENV, built_root, cache, way_to_mirrors
from tests.lab.service import UNIT
from tests.lab.test_check import DEBIAN, WHERE
from tests.support.livekit_server import Server
from tests.support.watcher import watching

PAGE, HEADING = "docs/install-checkout.md", "Steps"
USER, HOME = "owner", "/home/owner"
FOLDER = f"{HOME}/livekit-device"
ROOM = "lab-readme"
EDITOR = "/usr/local/bin/lab-editor"
# The one difference: Raspberry Pi OS has a package of picamera2. Debian has only what that one depends on, and
# what pip builds picamera2 with.
PI_ONLY = "python3-picamera2"
INSTEAD = "python3-libcamera python3-jsonschema python3-piexif python3-pil python3-prctl python3-tqdm"
BUILD = ("gcc", "libc6-dev", "python3-dev")
(PICAMERA2,) = (each for each in RECIPE.pypi if each.startswith("picamera2"))


def commands(markdown: str, heading: str) -> list[str]:
    """Return the commands in a section's code blocks, one per line; a backslash at the end continues a line."""
    section = markdown.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", "").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.fixture
def fresh(livekit_server: Server) -> Iterator[Machine]:
    """Boot a machine with a user, a checkout in the user's home, and this host's mirrors for apt, pip and npm."""
    with Machine(built_root(FRESH), machines=cache() / "machines") as machine:
        machine.install({f"/{name}": content for name, content in way_to_mirrors().items()})
        machine.run(("useradd", "--create-home", "--shell=/bin/bash", USER))
        machine.install({f"/etc/sudoers.d/{USER}": f"{USER} ALL=(ALL) NOPASSWD: ALL\n"}, mode=0o440)
        edit = f's|^# url = .*|url = "{livekit_server.url}"|; s|^# name = .*|name = "{ROOM}"|'
        machine.install({EDITOR: f"#!/bin/sh\nsed -i '/^\\[room\\]/,/^\\[c/ {{ {edit} }}' \"$@\"\n"}, mode=0o755)
        _check_out(machine)
        yield machine


def _check_out(machine: Machine) -> None:
    listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = subprocess.run(listed, cwd=CHECKOUT, capture_output=True, check=True).stdout
    pack = ("tar", "--create", "--null", "--files-from=-", "--ignore-failed-read")
    archive = subprocess.run(pack, cwd=CHECKOUT, input=names, capture_output=True, check=True).stdout
    machine.install({"/tmp/checkout.tar": archive})
    unpack = f"mkdir {FOLDER} && tar -xf /tmp/checkout.tar --no-same-owner -C {FOLDER} && chown -R {USER}: {FOLDER}"
    machine.run(("sh", "-c", unpack))


def _type(machine: Machine, command: str, answer: str) -> str:
    """Run a command like a user in a shell in the checkout; return its output."""
    shell = ("runuser", "-u", USER, "--", "env", "-C", FOLDER, "sh", "-c", command)
    environment = {"HOME": HOME, "USER": USER, "EDITOR": EDITOR}
    return machine.run(shell, env=environment, stdin=answer, timeout_s=600).stdout


def _plug_in(machine: Machine, hardware: Path) -> None:
    """Install the stand-ins for camera, encoder and microphone, for services and `sudo`."""
    machine.run(("apt-get", "install", "--yes", "--no-install-recommends", *BUILD), timeout_s=300)
    machine.run((f"{VENV}/bin/pip", "install", PICAMERA2), timeout_s=300)
    machine.install({f"/{name}": content for name, content in stand_ins.copied(hardware, into=machine.root).items()})
    machine.install(
        {
            "/etc/lab-environment": f'LD_PRELOAD="{stand_ins.PRELOAD}"\n',
            "/etc/sudoers.d/lab": "Defaults env_file=/etc/lab-environment\n",
            DROP_IN: stand_ins.DROP_IN,
        }
    )
    Microphones(machine).start()


@pytest.mark.timeout(1200)
def test_every_step_of_an_install_from_a_checkout(
    fresh: Machine, bare_machine: Machine, livekit_server: Server, record: Record
) -> None:
    steps = commands((CHECKOUT / PAGE).read_text(), HEADING)
    (packages,) = (step for step in steps if PI_ONLY in step)
    record(
        f"checkout: the one difference on Debian, which has no {PI_ONLY}",
        f"{INSTEAD}, and later pip's {PICAMERA2} with {' '.join(BUILD)}",
        must="in one step alone",
        ok="apt install" in packages,
    )
    answers = {"apt install": "y\n", ">api_key": livekit_server.api_key, ">api_secret": livekit_server.api_secret}
    printed: dict[str, str] = {}
    for step in steps:
        answer = next((each for words, each in answers.items() if words in step), "")
        printed[step] = _type(fresh, step.replace(PI_ONLY, INSTEAD), answer)
        if "bin/pip install" in step:
            _plug_in(fresh, bare_machine.root)
    (check,) = (text for step, text in printed.items() if step.endswith("livekit-device check"))
    signs = {line.split()[1]: line.split()[0] for line in check.splitlines()}
    record(
        f"checkout: its {len(steps)} steps, each run as it stands; what its `check` says",
        ", ".join(f"{name} {sign}" for name, sign in signs.items()),
        must="each exits 0; ✓ for all, picture and sound among them",
        ok={"camera", "encoder", "microphone", "picture", "sound"} <= set(signs) and set(signs.values()) == {"✓"},
    )
    python = (f"{VENV}/bin/python", "-c", WHERE, *DEBIAN)
    places = json.loads(fresh.run(python).stdout)
    record(
        "checkout: where its steps have the libraries from",
        sorted({str(Path(place).parents[1]) for place in places.values()}),
        must="Debian's folder alone, nothing of them from pip",
        ok=all(place.startswith("/usr/lib/python3/dist-packages/") for place in places.values()),
    )
    seen = asyncio.run(_watch(livekit_server))
    status = fresh.show(UNIT, "StatusText")
    enabled = fresh.systemctl("is-enabled", UNIT, check=False)
    record(
        "checkout: after its last step, what a viewer gets; the service",
        f"{seen}; {enabled}; {status}",
        must="picture and sound; enabled; live",
        ok=enabled == "enabled" and "camera live" in status and "microphone live" in status,
    )


async def _watch(server: Server) -> str:
    async with watching(server, ROOM) as watcher:
        await watcher.until(
            lambda: len(watcher.pictures) > 60 and len(watcher.sound) > 100, within_s=30, what="picture and sound"
        )
        return f"{watcher.pictures[-1].width}x{watcher.pictures[-1].height} and sound"
