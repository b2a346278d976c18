"""A microphone that delivers only zeros, and a frozen camera: reported, without a restart."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tests.faults.figures import NEVER, as_text
from tests.lab import stand_ins
from tests.lab.conftest import Record
from tests.lab.microphone import LABSTEREO, Microphones
from tests.lab.root import VENV
from tests.lab.rows import Rows, all_rows
from tests.lab.service import MICROPHONE, Service
from tests.lab.witness import Witness, witnessing

STEREO = MICROPHONE | {"device": LABSTEREO.name}
STILL, SILENT = "the picture has not changed by a bit for 30 s", "nothing but zeros for 10 s"
STILL_S, SILENT_S, OVER_S = 30.0, 10.0, 2.0
LATE_S = 3.0  # one check per second, plus the transmission of an attribute
DRAW = "from PIL import Image; Image.effect_noise((640, 480), 60).convert('RGB').save('/opt/lab/still.jpg')"
CAMERAS = """\
"Virtual0":
  supported_formats:
  - width: 640
    height: 480
    frame_rates: [30, 60]
  frames:
    path: "/opt/lab/still.jpg"
    scale_mode: "fill"
  location: "CameraLocationFront"
  model: "Virtual Video Device"
"""


@contextmanager
def still_camera(service: Service) -> Iterator[None]:
    """Make libcamera deliver the same picture again and again."""
    path = f"/{stand_ins.VIRTUAL_CAMERAS}"
    before = service.machine.run(("cat", path)).stdout
    service.machine.run((f"{VENV}/bin/python", "-c", DRAW))
    service.machine.install({path: CAMERAS})
    try:
        yield
    finally:
        service.machine.install({path: before})


async def said(witness: Witness, name: str, text: str, *, since: float, within_s: float) -> float:
    """Wait until an attribute has a text; return the seconds since a time."""

    def when() -> float:
        return next(
            (at - since for at, seen in witness.attributes_seen if at > since and seen.get(name) == text), NEVER
        )

    await witness.until_true(lambda: when() < NEVER, within_s=within_s)
    return when()


def test_silence_and_stillness(service: Service, record: Record, microphones: Microphones) -> None:
    async def watch(rows: Rows) -> None:
        async with witnessing(service.server, service.room) as witness:
            with service.running(camera={"width": 640, "height": 480}, microphone=STEREO) as journal:
                await witness.ready(fps=30)
                live_at, muted_at = witness.shown[0].came_s, time.time()
                await asyncio.to_thread(microphones.let_hear, replace(LABSTEREO, tones_hz=(0, 0)))
                silent_s = await said(
                    witness, "device.microphone", f"live: {SILENT}", since=muted_at, within_s=2 * SILENT_S
                )
                heard_at = time.time()
                await asyncio.to_thread(microphones.let_hear, LABSTEREO)
                over_s = await said(witness, "device.microphone", "live", since=heard_at, within_s=SILENT_S)
                rows.note(
                    f"microphone muted: device.microphone says {SILENT!r} after; that it is over after",
                    f"{as_text(silent_s)} s; {as_text(over_s)} s",
                    must=f"{SILENT_S:g} to {SILENT_S + LATE_S:g} s; {OVER_S:g} s; the worker goes on",
                    ok=SILENT_S - 0.5 <= silent_s <= SILENT_S + LATE_S and over_s <= OVER_S,
                )
                still_s = await said(
                    witness, "device.camera", f"live: {STILL}", since=live_at, within_s=STILL_S + 2 * LATE_S
                )
                rows.note(
                    f"camera that yields one and the same picture: device.camera says {STILL!r} after",
                    f"{as_text(still_s)} s",
                    must=f"{STILL_S:g} to {STILL_S + LATE_S:g} s; the worker goes on",
                    ok=STILL_S - 1 <= still_s <= STILL_S + LATE_S,
                )
                await journal.soon("worker.degraded", what=STILL, within_s=LATE_S)
                reports = [line["what"] for line in journal.of("worker.degraded")]
                rows.note(
                    "what the journal says of both; workers that were started anew",
                    f"{reports}; {len(journal.of('worker.restarting'))}",
                    must="the same, and that it is over; none",
                    ok=reports == [SILENT, "it has recovered", STILL] and not journal.of("worker.restarting"),
                )

    with all_rows(record) as rows, still_camera(service):
        try:
            asyncio.run(watch(rows))
        finally:
            microphones.let_hear(LABSTEREO)
