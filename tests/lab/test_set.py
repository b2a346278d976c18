"""`livekit-device set` and `reset` with the shipped unit, in its sandbox, with picamera2."""

import json
import time

from tests.lab.conftest import Record
from tests.lab.rows import all_rows
from tests.lab.service import COMMAND, STATE_DIRECTORY, UNIT, Service
from tests.lab.test_unit import SMALL, until_live

FILE = f"{STATE_DIRECTORY}/overrides.toml"
REFUSED = ("camera.fps=500", "camera.controls.NoSuchControl=1", "camera.source=file")


def said(service: Service, *arguments: str, code: int = 0) -> str:
    done = service.machine.run((COMMAND, *arguments), check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return (done.stdout + done.stderr).strip()


def test_values_are_set_in_the_units_sandbox_and_persist(service: Service, record: Record) -> None:
    with service.running(camera=SMALL) as journal, all_rows(record) as rows:
        until_live(service)
        for each in REFUSED:
            text = said(service, "set", "--persist", each, code=1)
            rows.note(f"set {each}", text, must="refused, and why", ok=each.partition("=")[0] in text)
        mark, asked_at = journal.mark(), time.monotonic()
        values = ("camera.fps=15", "camera.controls.FaceDetectMode=0", "microphone.gain_db=-3")
        done = said(service, "set", "--persist", *values)
        took_s = time.monotonic() - asked_at
        journal.event("worker.capturing", worker="camera", fps=15, since=mark)
        mode = service.machine.run(("stat", "-c", "%a %U", FILE)).stdout.strip()
        rows.note(
            "set --persist: the answer, its time, the file's mode and owner",
            f"{' '.join(done.split())}; {took_s:.1f} s; {mode}",
            must="worker restart, applied live; 5 s; 600, the service's user",
            ok=done.count("worker restart") == 2 and done.count("applied live") == 1
            and mode == "600 livekit-device" and took_s < 5,
        )  # fmt: skip
        mark = journal.mark()
        service.machine.systemctl("restart", UNIT)
        journal.event("worker.capturing", worker="camera", fps=15, since=mark)
        until_live(service)
        found = json.loads(said(service, "config", "--running", "--json"))
        layers = {found[key]["layer"] for key in ("camera.fps", "camera.controls", "microphone.gain_db")}
        rows.note("after a restart", f"{layers}", must="the persisted changes", ok=layers == {"remote"})
        done = said(service, "reset")
        left = service.machine.run(("test", "-e", FILE), check=False).returncode == 0
        rows.note(
            "reset",
            f"{' '.join(done.split())}; {left}",
            must="all three, no file",
            ok=len(done.splitlines()) == 3 and not left,
        )
