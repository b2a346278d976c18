"""A supervisor of the rogue, and all that it says; and what the real workers are asked for."""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING, Any

from device.health.promises import Promises
from device.jobs import CameraJob, MicrophoneJob
from device.workers.supervisor import Plan, Supervisor, WorkerState
from tests.support.children import alive
from tests.unit.workers.rogue import POISON_US

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from device.workers.wire import Message

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
REAL = {
    "device.workers.camera": CAMERA.to_wire(),
    "device.workers.microphone": MICROPHONE.to_wire(),
}


class Watcher:
    """A supervisor of the rogue, and all that it says."""

    def __init__(
        self, mode: str, *, module: str = ROGUE, stall_s: float = 0.4, startup_s: float = LIMIT_S, **settings: Any
    ) -> None:
        self.media: list[Message] = []
        self.states: list[tuple[WorkerState, str]] = []
        self.notices: list[str] = []
        self.failures: list[str] = []
        self.promises = Promises()
        self.supervisor = Supervisor(
            Plan(
                name="rogue",
                module=module,
                settings={"mode": mode} | settings,
                stall_s=stall_s,
                startup_s=startup_s,
                backoff_base_s=0.01,
                backoff_cap_s=0.02,
            ),
            on_media=self._on_media,
            on_state=self._on_state,
            on_notice=self._on_notice,
            on_failure=self.failures.append,
            promises=self.promises,
        )
        self._tick = asyncio.Event()

    @property
    def pids(self) -> list[int]:
        """The worker processes that were heard of, in order."""
        return list(
            dict.fromkeys(struct.unpack("<I", each.payload)[0] for each in self.media if len(each.payload) == 4)
        )

    @property
    def reasons(self) -> list[str]:
        return [why for state, why in self.states if state in (WorkerState.STALLED, WorkerState.ABSENT)]

    def _on_media(self, message: Message) -> None:
        if message.captured_at_us == POISON_US:
            raise ValueError("a mistake in a track")
        self.media.append(message)
        self._tick.set()

    def _on_state(self, state: WorkerState, why: str) -> None:
        self.states.append((state, why))
        self._tick.set()

    def _on_notice(self, text: str) -> None:
        self.notices.append(text)
        self._tick.set()

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            assert len(self.reasons) < 8, self.reasons
            self._tick.clear()
            await self._tick.wait()


def supervised(watcher: Callable[[], Watcher], act: Callable[[Watcher], Awaitable[None]]) -> Watcher:
    """Run the supervisor while `act` does its part; afterwards no worker is alive."""

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
