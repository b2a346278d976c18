"""A stand-in for the daemon: supervises one worker, reports when it captures, and ends as its input says."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time

from device import log
from device.ipc.supervisor import Supervisor
from device.ipc.worker_plan import WorkerPlan
from device.lifecycle.deadlines import Deadlines
from tests.unit.workers.watched import LIMIT_S, REAL, rogue_job


async def main(module: str, mode: str) -> None:
    # No core file if it crashes.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    log.configure(level="warning", format="json")
    heard = asyncio.Event()
    # A worker that hangs is not replaced: the test checks this one worker.
    plan = WorkerPlan(name="worker", module=module, job=REAL.get(module) or rogue_job(mode), stall_s=10 * LIMIT_S)
    supervisor = Supervisor(
        plan, on_media=lambda _: heard.set(), on_state=lambda _state, _why: None, deadlines=Deadlines()
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(supervisor.run())
        await heard.wait()
        print("capturing", flush=True)
        if await asyncio.to_thread(sys.stdin.readline) == "exit\n":
            os._exit(0)
        print("hanging", flush=True)
        time.sleep(10 * LIMIT_S)  # the loop is blocked, on purpose  # noqa: ASYNC251


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
