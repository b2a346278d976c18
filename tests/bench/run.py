"""One run of one row: start, warm up, measure 300 pictures, add a late viewer, end."""

from __future__ import annotations

import math
import tempfile
import time
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.bench import accounts, figures, processes
from tests.bench.feed import feeding
from tests.bench.material import FPS, FRAMES
from tests.bench.rows import Row, Stage
from tests.support.processors import IdleMeter
from tests.support.tokens import token

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.material import Material
    from tests.support.livekit_server import Server

# By then the bitrate has reached its maximum, and the daemon has drawn its still picture, once, 10 s after its start.
WARM_UP_S = 12.5
_FIRST_S, _ANSWER_S, _LATE_S = 30.0, 10.0, 15.0
_BEEP_LEVEL = 4000  # the voice has 3000, the beep 9800
_QUIET_S = 0.5
_SAMPLES_PER_MS = 48


def one_run(
    row: Row, server: Server, material: Material, *, look: Callable[[int], None] | None = None
) -> dict[str, float]:
    """Return the figures of one run.

    `look` is called with the publisher's process id in the middle of the run. Raises RuntimeError if publisher or
    subscriber fails.
    """
    room = f"bench-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as running:
        stage = Stage(server=server, room=room, folder=Path(name), material=material)
        watcher = running.enter_context(
            processes.subscriber(
                url=server.url,
                token=token(server, room, identity="watcher"),
                late_token=token(server, room, identity="late"),
                publishes=row.publishes,
                keep=str(stage.folder / "lumas.npz"),
                sound=str(stage.folder / "sound.npz"),
            )
        )
        if row.fed:
            running.enter_context(feeding(stage.pictures_pipe, stage.sound_pipe, material))
        if row.busy:
            running.enter_context(processes.busy_cores())
        pid, started_at = running.enter_context(row.running(stage))
        first = watcher.expect("first", within_s=_FIRST_S)
        time.sleep(WARM_UP_S)
        measured, costs = _measured(watcher, pid, look)
        found = {"start_s": first["at"] - started_at} | costs
        if row.publishes != "nothing":
            watcher.tell(do="late")
            late = watcher.expect("late", within_s=_LATE_S)
            found |= {"late_s": late["from_join_s"], "late_subscribed_s": late["from_subscription_s"]}
        running.close()
        return found | _of_media(stage, measured, flashing=row.publishes == "pictures")


def _measured(
    watcher: processes.Subscriber, pid: int, look: Callable[[int], None] | None
) -> tuple[dict[str, Any], dict[str, float]]:
    watcher.tell(do="begin")
    watcher.expect("begun", within_s=_ANSWER_S)
    idle = IdleMeter()
    before, cpu_before, began_at = accounts.used_by_process(pid), accounts.cpu_s(pid), time.monotonic()
    if look is not None:
        look(pid)
    time.sleep(max(0.0, began_at + FRAMES / FPS - time.monotonic()))
    if look is not None:
        look(pid)
    cpu_s, lasted_s = accounts.cpu_s(pid) - cpu_before, time.monotonic() - began_at
    after, idle_percent = accounts.used_by_process(pid), idle.percent()
    pss, anonymous = accounts.pss_bytes(pid)
    watcher.tell(do="end")
    measured = watcher.expect("ended", within_s=_ANSWER_S)
    costs = {
        "cpu_s_per_1000": cpu_s / (lasted_s * FPS) * 1000,
        "pss_mb": pss / 1e6,
        "anonymous_mb": anonymous / 1e6,
        "idle_percent": idle_percent,
    }
    for name in before.keys() & after.keys():
        used_s = after[name].cpu_s - before[name].cpu_s
        costs[f"{name}_cpu_s_per_1000"] = used_s / (lasted_s * FPS) * 1000
        costs[f"{name}_waits_per_s"] = (after[name].waits - before[name].waits) / lasted_s
    return measured, costs


def _of_media(stage: Stage, measured: dict[str, Any], *, flashing: bool) -> dict[str, float]:
    """Return the figures from the pictures and the sound of the measured time; NaN where there are none."""
    pictures: list[tuple[int, int, int, int]] = [tuple(each) for each in measured["pictures"]]
    began_us, ended_us = measured["began_us"], measured["ended_us"]
    seen = [each for each in pictures if began_us <= each[1] < ended_us]
    if stage.times.exists():
        lines = (line.split() for line in stage.times.read_text().splitlines())
        sent = [(int(number), int(at)) for number, at in lines]
        latencies = figures.latencies_ms(sent, ((number, at) for number, at, _, _ in seen))
    else:
        latencies = [(at - captured) / 1000 for _, at, captured, _ in seen if captured]
    flashes = figures.flashes(((number, at) for number, at, _, _ in seen if flashing), every=FPS)
    with np.load(stage.folder / "sound.npz") as sound:
        blocks = zip(sound["at"].tolist(), sound["samples"], strict=True)
        beeps = figures.onsets(blocks, rate=48_000, level=_BEEP_LEVEL, quiet_s=_QUIET_S)
    skews = figures.skews_ms(flashes, beeps)
    lasted_s = (ended_us - began_us) / 1e6
    received = measured["received"]
    kbps = {name: received[name] * 8 / lasted_s / 1000 or math.nan for name in ("picture", "sound")}
    return {
        "frames_per_s": len(seen) / lasted_s or math.nan,
        "height": min((height for *_, height in seen), default=0),
        "bitrate_kbps": kbps["picture"],
        "sound_kbps": kbps["sound"],
        "picture_gap_ms": figures.longest_gap_ms([at for _, at, _, _ in seen]),
        "sound_gap_ms": received["concealed"] / _SAMPLES_PER_MS if received["sound"] else math.nan,
        "latency_p50_ms": figures.percentile(latencies, 50),
        "latency_p99_ms": figures.percentile(latencies, 99),
        "skew_p50_ms": figures.percentile(skews, 50),
        "skew_p95_ms": figures.percentile(map(abs, skews), 95),
        "ssim": _ssim(stage),
    }


def _ssim(stage: Stage) -> float:
    """Return the mean over the kept full-size pictures; NaN if there is none."""
    with np.load(stage.folder / "lumas.npz") as kept:
        pairs = zip(kept["numbers"].tolist(), kept["lumas"], strict=True)
        found = [figures.ssim(stage.material.luma(number), luma) for number, luma in pairs]
    return sum(found) / len(found) if found else math.nan
