"""A supervisor of the faulty worker and all that it reports; and the jobs of the real workers."""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from device.ipc.messages import CameraJob, Job, MicrophoneJob
from device.ipc.supervisor import Supervisor
from device.ipc.worker_plan import WorkerPlan
from device.ipc.worker_process import WorkerProcess, running, spawn
from device.ipc.worker_state import WorkerState
from device.lifecycle.deadlines import Deadlines
from device.media.block import Block
from tests.support.children import alive
from tests.unit.workers.rogue import POISON_US, SILENT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from device.ipc.framing import Received
    from device.media.picture import AccessUnit

ROGUE = "tests.unit.workers.rogue"
LIMIT_S = 20
CAMERA = CameraJob(
    source="pattern",
    width=320,
    height=240,
    fps=30,
    device="",
    path="",
    hflip=False,
    vflip=False,
    controls={},
    encoder="auto",
    bitrate_max_bps=1_000_000,
    bitrate_min_bps=60_000,
    keyframe_interval_s=10,
    identity="porch",
    epoch_us=0,
)
MICROPHONE = MicrophoneJob(source="tone", device="", path="", channels=1, gain_db=0, epoch_us=0)
REAL: dict[str, Job] = {
    "device.workers.camera": CAMERA,
    "device.workers.microphone": MICROPHONE,
}


def rogue_job(mode: str, *, first: bool = True) -> MicrophoneJob:
    """Return the faulty worker's job; without `first` it does not send its process id."""
    return replace(MICROPHONE, source=mode, path="" if first else SILENT)


@asynccontextmanager
async def run_worker(module: str, job: Job, on_message: Callable[[Received], None]) -> AsyncIterator[WorkerProcess]:
    """Run one worker without a supervisor."""
    async with running(await spawn(name="worker", module=module, job=job), on_message=on_message) as child:
        yield child


class Watcher:
    """A supervisor of the faulty worker, and all that it reports."""

    def __init__(
        self,
        mode: str,
        *,
        module: str = ROGUE,
        stall_s: float = 0.4,
        startup_s: float = LIMIT_S,
        first: bool = True,
        device: str = "",
        known: bool = True,
    ) -> None:
        self.media: list[Block | AccessUnit] = []
        self.states: list[tuple[WorkerState, str]] = []
        self.notices: list[str] = []
        self.failures: list[str] = []
        self.times_known = 0
        self.deadlines = Deadlines()
        self.supervisor = Supervisor(
            WorkerPlan(
                name="rogue",
                module=module,
                job=replace(rogue_job(mode, first=first), device=device),
                stall_s=stall_s,
                startup_s=startup_s,
                backoff_base_s=0.01,
                backoff_cap_s=0.02,
            ),
            on_media=self._on_media,
            on_state=self._on_state,
            on_notice=self._on_notice,
            on_failure=self._on_failure,
            known=known,
            on_known=self._on_known,
            deadlines=self.deadlines,
        )
        self._tick = asyncio.Event()

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers from which blocks arrived, in order."""
        return list(
            dict.fromkeys(
                struct.unpack("<I", each.samples)[0]
                for each in self.media
                if isinstance(each, Block) and len(each.samples) == len(b"pid ")
            )
        )

    @property
    def reasons(self) -> list[str]:
        return [why for state, why in self.states if state in (WorkerState.STALLED, WorkerState.ABSENT)]

    def _on_media(self, message: Block | AccessUnit) -> None:
        if message.captured_at_us == POISON_US:
            raise ValueError("a mistake in a track")
        self.media.append(message)
        self._tick.set()

    def _on_state(self, state: WorkerState, why: str) -> None:
        self.states.append((state, why))
        self._tick.set()

    def _on_failure(self, why: str) -> None:
        self.failures.append(why)
        self._tick.set()

    async def until_failures(self, count: int) -> None:
        await self.until(lambda: len(self.failures) >= count)

    def _on_known(self) -> None:
        self.times_known += 1

    def _on_notice(self, text: str) -> None:
        self.notices.append(text)
        self._tick.set()

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            assert len(self.reasons) < 8, self.reasons
            self._tick.clear()
            await self._tick.wait()


def supervised(watcher: Callable[[], Watcher], act: Callable[[Watcher], Awaitable[None]]) -> Watcher:
    """Run the supervisor while `act` runs; afterwards no worker is alive."""

    async def main() -> Watcher:
        watched = watcher()
        run = asyncio.create_task(watched.supervisor.run())
        try:
            async with asyncio.timeout(LIMIT_S):
                acting = asyncio.ensure_future(act(watched))
                await asyncio.wait({run, acting}, return_when=asyncio.FIRST_COMPLETED)
                assert not run.done(), run.result()
                await acting
        finally:
            run.cancel()
            await asyncio.wait({run})
        assert not any(map(alive, watched.pids))
        return watched

    return asyncio.run(main())
