"""A daemon that hangs or dies: systemd restarts it, no process of the old one is left, and the picture returns."""

import asyncio
import re
import time
from dataclasses import dataclass

import pytest
from livekit import api

from tests.faults.figures import NEVER, as_text
from tests.lab import stand_ins
from tests.lab.conftest import Record
from tests.lab.rows import Rows, all_rows
from tests.lab.service import IDENTITY, Journal, Service
from tests.lab.witness import Witness, witnessing

CAMERA: dict[str, object] = {"width": 640, "height": 480}
FPS = 30
SHIPPED_S = 30  # WatchdogSec= of the unit
START_S = 4.0  # for kill, RestartSec=1, start, join, first picture, on a machine without much time
ORPHAN_S, BACK_S = 1.0, 5.0
GIVE_UP_S = 30.0
# Prints for how many milliseconds the last of the other processes outlived the first one.
OUTLIVED = """
gone() { while [ -e /proc/$1 ]; do sleep 0.01; done; }
gone $1; shift; since=$(date +%s%N)
for pid; do gone $pid; done; echo $(( ($(date +%s%N) - since) / 1000000 ))
"""


async def ghosts(service: Service) -> list[str]:
    """Return the server's state of the device, except for one participant with two tracks."""
    server = service.server
    async with api.LiveKitAPI(server.url, server.api_key, server.api_secret) as operator:
        listed = await operator.room.list_participants(api.ListParticipantsRequest(room=service.room))
    found = [f"{who.identity} with {len(who.tracks)} tracks" for who in listed.participants if who.tracks]
    return [] if found == [f"{IDENTITY} with 2 tracks"] else found or ["nobody"]


async def outlived(service: Service, main: int, workers: list[int]) -> float:
    """Wait for the end of all; return for how many seconds the last worker outlived the daemon."""
    script = ("sh", "-c", OUTLIVED, "sh", *map(str, (main, *workers)))
    done = await asyncio.to_thread(service.machine.run, script, timeout_s=SHIPPED_S + GIVE_UP_S)
    return int(done.stdout) / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Hang:
    """A word for the daemon, the unit's WatchdogSec, and when a deadline is missed, in seconds."""

    name: str
    word: str
    watchdog_s: int = 3
    due_s: int = 0


HANGS = (
    Hang(name="the event loop blocks", word="blocked", watchdog_s=SHIPPED_S),
    Hang(name="a call into the SDK never returns", word="deadlocked"),
    # It begins within a second, and its deadline is 15 s.
    Hang(name="one of the room's looks, which are due after 15 s, has no end", word="unanswered", due_s=16),
)


@pytest.mark.parametrize("hang", HANGS, ids=lambda hang: hang.word)
def test_hangs(service: Service, record: Record, hang: Hang) -> None:
    async def watch() -> None:
        async with witnessing(service.server, service.room) as witness:
            with service.running(camera=CAMERA) as journal:
                await witness.ready(fps=FPS)
                workers = [await asyncio.to_thread(service.worker, name) for name in ("camera", "microphone")]
                old, mark, at = await asyncio.to_thread(service.main_pid), journal.mark(), time.time()
                leaving = asyncio.create_task(outlived(service, old, workers))
                await asyncio.to_thread(service.tell_daemon, hang.word)
                limit_s = hang.due_s + hang.watchdog_s + START_S
                await journal.soon("daemon.starting", since=mark, within_s=limit_s + GIVE_UP_S)
                killed = [line["at_s"] - at for line in journal.lines[mark:] if "Watchdog timeout" in line["text"]]
                await witness.until_true(lambda: witness.live_s(at) < NEVER, within_s=GIVE_UP_S)
                await witness.ready(fps=FPS)
                live_s, left, parts = witness.live_s(at), await ghosts(service), journal.of("daemon.hangs", since=mark)
                record(
                    f"{hang.name} (WatchdogSec={hang.watchdog_s}): killed after; picture again after; last worker "
                    "gone after the daemon; ghosts; logged",
                    f"{killed[0] if killed else NEVER:.1f} s; {as_text(live_s)} s; {await leaving:.2f} s; "
                    f"{left or 'none'}; {[line['parts'] for line in parts]}",
                    must=f"picture <= {limit_s:g} s; {ORPHAN_S:g} s; none; the part, where one hangs",
                    ok=killed
                    and live_s <= limit_s
                    and leaving.result() <= ORPHAN_S
                    and not left
                    and bool(parts) == bool(hang.due_s),
                )

    service.drop_in(stand_ins.LISTENING, f"WatchdogSec={hang.watchdog_s}")
    asyncio.run(watch())


@dataclass(frozen=True, slots=True)
class End:
    """A way to end, the word for it (none: a signal from outside), and the texts of systemd and the daemon."""

    name: str
    word: str
    exit: str
    event: str = ""
    after_s: float = 0.0


ENDS = (
    End("SIGKILL", "", "killed, status=9/KILL"),
    End("SIGSEGV", "segv", "(dumped|killed), status=11/SEGV"),
    End(
        "SIGTERM by itself, as of a native panic",
        "term",
        "exited, status=70/",
        "daemon.native_panic",
    ),
    End("exit 0", "exit", ""),
    End("the SDK takes no sound for 10 s", "untaken", "exited, status=70/", "daemon.failed", 10),
)


async def endure(service: Service, witness: Witness, journal: Journal, end: End, rows: Rows) -> None:
    """Make the daemon end, and record the results."""
    await witness.ready(fps=FPS)
    workers = [await asyncio.to_thread(service.worker, name) for name in ("camera", "microphone")]
    old, mark = await asyncio.to_thread(service.main_pid), journal.mark()
    leaving = asyncio.create_task(outlived(service, old, workers))
    at = time.time()
    if end.word:
        await asyncio.to_thread(service.tell_daemon, end.word)
    else:
        await asyncio.to_thread(service.kill, old, "KILL")
    outlived_s = await leaving
    started = await journal.soon("daemon.starting", since=mark, within_s=GIVE_UP_S)
    await witness.until_true(lambda: witness.live_s(at) < NEVER, within_s=GIVE_UP_S)
    await witness.ready(fps=FPS)
    live_s, left = witness.live_s(at), await ghosts(service)
    since = journal.lines[mark:]
    exits = [line["text"] for line in since if "Main process exited" in line["text"]]
    words = exits[0].partition("code=")[2] if exits else ""
    evicted = journal.of("room.left", since=journal.lines.index(started))
    panics = journal.of(end.event, since=mark)
    limit_s = end.after_s + BACK_S
    rows.note(
        f"daemon: {end.name}: systemd says; last worker gone after; picture again after; ghosts, evictions; logged",
        f"{words or 'nothing'}; {outlived_s:.2f} s; {as_text(live_s)} s; {left or 'none'}, {len(evicted)}; "
        f"{len(panics)} {end.event}",
        must=f"{end.exit or 'nothing'}; <= {ORPHAN_S:g} s; <= {limit_s:g} s; none, 0; the event",
        ok=(re.match(end.exit, words) if end.exit else not words)
        and outlived_s <= ORPHAN_S
        and live_s <= limit_s
        and not left
        and not evicted
        and bool(panics) == bool(end.event),
    )


def test_dies(service: Service, record: Record) -> None:
    async def watch(rows: Rows) -> None:
        async with witnessing(service.server, service.room) as witness:
            with service.running(camera=CAMERA) as journal:
                for end in ENDS:
                    await endure(service, witness, journal, end, rows)

    service.drop_in(stand_ins.LISTENING)
    with all_rows(record) as rows:
        asyncio.run(watch(rows))
