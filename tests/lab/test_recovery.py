"""Camera workers that fail, in every way: what viewers see and hear, and for how long."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.faults.figures import NEVER, as_text
from tests.lab import stand_ins
from tests.lab.conftest import Record
from tests.lab.load import measuring_load
from tests.lab.rows import Rows, all_rows
from tests.lab.service import Journal, Service
from tests.lab.witness import GAP_S, Witness, witnessing

FPS = 30
CAMERA: dict[str, object] = {"encoder": "v4l2"}  # with `auto`, software would replace it
SLATE_S, BACK_S, HANG_S = 3.0, 3.0, 5.0
GIVE_UP_S, AFTERWARDS_S = 20.0, 0.5

Strike = Callable[[Service, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault of the worker, by its process id, and the seconds until the picture must be live again."""

    name: str
    strike: Strike
    within_s: float = BACK_S


def _switch(word: str) -> Strike:
    return lambda service, pid: service.switch_camera(word, pid)


def _signal(name: str) -> Strike:
    return lambda service, pid: service.kill(pid, name)


def _hang_in_stop(service: Service, pid: int) -> None:
    service.switch_camera("hung", pid)
    service.switch_encoder("gone")


FAULTS = (
    Fault(name="an exception in picamera2's own thread", strike=_switch("listen-raises")),
    Fault(name="SIGSEGV", strike=_signal("SEGV")),
    Fault(name="it yields nothing any more", strike=_switch("stalled"), within_s=HANG_S),
    Fault(name="the encoder fails, and stop() would hang", strike=_hang_in_stop, within_s=HANG_S),
    Fault(name="libcamera hangs, with Python's lock held", strike=_switch("seized"), within_s=HANG_S),
    Fault(name="SIGSTOP", strike=_signal("STOP"), within_s=HANG_S),
)


@pytest.mark.timeout(240)
def test_camera_worker(service: Service, record: Record) -> None:
    async def watch(rows: Rows) -> None:
        async with witnessing(service.server, service.room) as witness:
            with service.running(camera=CAMERA) as journal:
                for fault in FAULTS:
                    await strike(service, witness, journal, fault, rows)
                assert not journal.of("room.left")

    service.drop_in(stand_ins.LISTENING)
    with all_rows(record) as rows:
        asyncio.run(watch(rows))


async def strike(service: Service, witness: Witness, journal: Journal, fault: Fault, rows: Rows) -> None:
    """Apply a fault to the live worker; the next worker finds a working camera."""
    await asyncio.to_thread(service.tell_daemon, "forgive")
    pid = await asyncio.to_thread(service.worker, "camera")
    await witness.ready(fps=FPS)
    mark, at = journal.mark(), time.time()
    with measuring_load() as load:
        await asyncio.to_thread(fault.strike, service, pid)
        await journal.soon("worker.ended", since=mark, worker="camera")
        await asyncio.to_thread(service.switch_encoder, "")
        await witness.until_true(lambda: witness.live_s(at) < NEVER, within_s=GIVE_UP_S)
        await asyncio.sleep(AFTERWARDS_S)
    slate_s, live_s, gap_s = witness.slate_s(at), witness.live_s(at), witness.sound_gap_s(at, time.time())
    story = witness.story("device.camera", at)
    rows.note(
        f"camera worker: {fault.name}: slate, live; the sound's longest gap; device.camera",
        f"{as_text(slate_s) if slate_s < live_s else 'none'}, {as_text(live_s)} s; {gap_s:.2f} s; "
        f"{' → '.join(story)} ({load})",
        must=f"slate or live <= {SLATE_S:g} s, live <= {fault.within_s:g} s; {GAP_S} s; stalled: …, then live",
        ok=min(slate_s, live_s) <= SLATE_S
        and live_s <= fault.within_s
        and gap_s <= GAP_S
        and any(text.startswith("stalled: ") for text in story)
        and story[-1] == "live",
    )
