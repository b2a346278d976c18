"""Starts and cancels a supervisor at many points of its start, and prints what is left behind each time.

It is a process of its own, so that leftovers do not affect other tests.
"""

from __future__ import annotations

import asyncio
import gc
import os

from device import log
from device.ipc.supervisor import Supervisor
from device.ipc.worker_plan import WorkerPlan
from device.lifecycle.deadlines import Deadlines
from tests.support.children import living_descendants
from tests.unit.workers.watched import rogue_job

_TURNS = range(0, 40, 2)
_MOMENTS_S = (0.001, 0.003, 0.005, 0.008, 0.012, 0.02, 0.04, 0.08)


async def main() -> None:
    for turns in _TURNS:
        task = start()
        for _ in range(turns):
            await asyncio.sleep(0)
        await leave(task, f"{turns} turns")
    for moment_s in _MOMENTS_S:
        task = start()
        await asyncio.wait({task}, timeout=moment_s)
        await leave(task, f"{moment_s} s")


def start() -> asyncio.Task[None]:
    plan = WorkerPlan(name="rogue", module="tests.unit.workers.rogue", job=rogue_job("live"), stall_s=30, startup_s=30)
    supervisor = Supervisor(plan, on_media=lambda _: None, on_state=lambda _state, _why: None, deadlines=Deadlines())
    return asyncio.create_task(supervisor.run())


async def leave(task: asyncio.Task[None], when: str) -> None:
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()  # as a task group does with tasks that its body has cancelled already
    await asyncio.wait({task})
    if not task.cancelled():
        print(f"{when}: it ended with {task.exception()!r}")
    if left := living_descendants(os.getpid()):
        print(f"{when}: {len(left)} left")
    gc.collect()


if __name__ == "__main__":
    log.configure(level="warning", format="json")
    asyncio.run(main())
