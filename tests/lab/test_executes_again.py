"""A daemon with too much memory executes itself again inside the shipped unit: for systemd this is a reload."""

import asyncio
import time

from tests.faults.figures import NEVER, as_text
from tests.lab import stand_ins
from tests.lab.conftest import Record
from tests.lab.machine import processes_of
from tests.lab.service import UNIT, Service
from tests.lab.test_watchdog import CAMERA, FPS, ghosts
from tests.lab.witness import Witness, witnessing

TIMES, GAP_S, BACK_S = 2, 4.0, 30.0
WATCHDOG_S = 3
EXPECTED = ("livekit-device\0run", "device.workers.camera", "device.workers.microphone")
SETTLE_S = 5.0
PROPERTIES = ("ActiveState", "SubState", "NRestarts", "Result")


def commands_of(service: Service) -> list[str]:
    """Return the command lines of the unit's processes if they are others than expected; some live for a moment."""
    give_up_at = time.monotonic() + SETTLE_S
    while True:
        files = [f"/proc/{pid}/cmdline" for pid in processes_of(service.machine, UNIT)]
        shown = service.machine.run(("cat", *files), check=False).stdout
        if len(files) == len(EXPECTED) and all(each in shown for each in EXPECTED):
            return []
        if time.monotonic() > give_up_at:
            return [shown.replace("\0", " ")]


async def live_again(witness: Witness, at: float) -> None:
    await witness.until_true(lambda: witness.live_s(at) < NEVER, within_s=BACK_S)


def test_executes_again(service: Service, record: Record) -> None:
    async def watch() -> None:
        async with witnessing(service.server, service.room) as witness:
            with service.running(camera=CAMERA) as journal:
                pids, gaps = [await asyncio.to_thread(service.main_pid)], []
                for _ in range(TIMES):
                    await witness.ready(fps=FPS)
                    mark, at = journal.mark(), time.time()
                    await asyncio.to_thread(service.tell_daemon, "again")
                    await journal.soon("memory.executing_again", since=mark)
                    await journal.soon("daemon.executed_again", since=mark)
                    await live_again(witness, at)
                    await witness.ready(fps=FPS)
                    gaps.append(max(witness.picture_gap_s(at, time.time()), witness.sound_gap_s(at, time.time())))
                    pids.append(await asyncio.to_thread(service.main_pid))
                await asyncio.sleep(2 * WATCHDOG_S)  # the watchdog goes on, and is fed
                await asyncio.to_thread(service.machine.systemctl, "reload", UNIT)
                await witness.ready(fps=FPS)
                states = [await asyncio.to_thread(service.machine.show, UNIT, each) for each in PROPERTIES]
                pids.append(await asyncio.to_thread(service.main_pid))
                left = await ghosts(service)
                commands = await asyncio.to_thread(commands_of, service)
                identifiers = {line["identifier"] for line in journal.lines if line.get("event")}
                record(
                    f"memory above the limit, {TIMES} times (WatchdogSec={WATCHDOG_S}): gaps of picture and sound; "
                    "main processes; systemd says; workers; participants; names in the journal",
                    f"{' and '.join(map(as_text, gaps))} s; {len(set(pids))}; {' '.join(states)}; {commands or 'two'}; "
                    f"{left or 'one'}; {', '.join(sorted(identifiers))}",
                    must=f"<= {GAP_S:g} s; 1; active running 0 success; two; one; livekit-device",
                    ok=max(gaps) <= GAP_S
                    and len(set(pids)) == 1
                    and states == ["active", "running", "0", "success"]
                    and not commands
                    and not left
                    and identifiers == {"livekit-device"},
                )

    service.drop_in(stand_ins.LISTENING, f"WatchdogSec={WATCHDOG_S}")
    asyncio.run(watch())
