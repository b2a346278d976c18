"""[camera.night] with the real picamera2; the brightness of the scene is the lab's."""

import asyncio
import time

import pytest

from tests.lab.conftest import Record
from tests.lab.rows import Rows, all_rows
from tests.lab.service import Service
from tests.lab.witness import SLATE, Witness, witnessing

pytestmark = pytest.mark.timeout(120)

FPS, NIGHT_FPS = 30, 10
CHANGE_S, MEASURE_S, GAP_S = 6.0, 4.0, 1.0
CAMERA: dict[str, object] = {
    "width": 640,
    "height": 480,
    "night": {"enabled": True, "hold_s": 2, "min_s": 2, "fps": NIGHT_FPS},
}


def rate(witness: Witness, since: float, until: float) -> float:
    pictures = [each for each in witness.shown if since < each.came_s <= until and each.size != SLATE]
    return len(pictures) / (until - since)


def test_night_and_day(service: Service, record: Record) -> None:
    def shine(lux: float) -> None:
        service.machine.run(("sh", "-c", f"echo {lux} >/run/lab-lux"))

    async def change(rows: Rows, witness: Witness, lux: float, wanted: str, fps: int) -> None:
        at = time.time()
        await asyncio.to_thread(shine, lux)
        await witness.until_true(lambda: witness.attributes().get("device.camera") == wanted, within_s=2 * CHANGE_S)
        changed_s = time.time() - at
        await asyncio.sleep(1)
        since = time.time()
        await asyncio.sleep(MEASURE_S)
        found, gap_s = rate(witness, since, time.time()), witness.picture_gap_s(at, time.time())
        text = witness.attributes().get("device.camera", "")
        rows.note(
            f"Lux becomes {lux:g}: device.camera; after; pictures a second; the picture's longest gap",
            f"{text}; {changed_s:.1f} s; {found:.1f}; {gap_s:.2f} s",
            must=f"{wanted}; 2 to {CHANGE_S:g} s; {fps} ± 20 %; <= {GAP_S:g} s",
            ok=text == wanted and 2 <= changed_s <= CHANGE_S and abs(found - fps) <= 0.2 * fps and gap_s <= GAP_S,
        )

    async def watch(rows: Rows) -> None:
        async with witnessing(service.server, service.room) as witness:
            with service.running(camera=CAMERA) as journal:
                await witness.ready(fps=FPS)
                await change(rows, witness, 0.5, f"live: night, {NIGHT_FPS} fps", NIGHT_FPS)
                await change(rows, witness, 300.0, "live", FPS)
                assert [line["event"] for line in journal.lines if "unit" in line] == ["camera.night", "camera.day"]
                assert len(journal.of("worker.spawned", worker="camera")) == 1

    shine(300.0)
    try:
        with all_rows(record) as rows:
            asyncio.run(watch(rows))
    finally:
        service.machine.run(("rm", "-f", "/run/lab-lux"))
