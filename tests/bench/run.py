"""One run of one row: start, warm up, measure 300 pictures, add a late viewer, end."""

from __future__ import annotations

import json
import math
import tempfile
import time
import uuid
from contextlib import nullcontext
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

WARM_UP_S = 6.0  # by then the bitrate has reached its maximum
_FIRST_S, _ANSWER_S, _LATE_S = 30.0, 10.0, 15.0
_BEEP_LEVEL = 4000  # the tone has 1600, the beep 9800
_QUIET_S = 0.5


def one_run(
    row: Row, server: Server, material: Material, *, look: Callable[[int], None] | None = None
) -> dict[str, float]:
    """Return the figures of one run.

    `look` is called with the publisher's process id in the middle of the run. Raises RuntimeError if publisher or
    subscriber fails.
    """
    room = f"bench-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        stage = Stage(server=server, room=room, folder=Path(name), material=material)
        log = stage.folder / "log"
        with processes.subscriber(
            url=server.url,
            token=token(server, room, identity="watcher"),
            late_token=token(server, room, identity="late"),
            keep=str(stage.folder / "lumas.npz"),
            sound=str(stage.folder / "sound.npz"),
        ) as watcher:
            command, variables = row.start(stage)
            feed = feeding(stage.pictures_pipe, stage.sound_pipe, material) if row.fed else nullcontext()
            with feed, processes.publisher(command, variables, log) as (pid, started_at):
                first = watcher.expect("first", within_s=_FIRST_S)
                time.sleep(WARM_UP_S)
                measured, costs = _measured(watcher, pid, look)
                watcher.tell(do="late")
                late = watcher.expect("late", within_s=_LATE_S)
        result = costs | _of_pictures(stage, measured) | _of_log(log)
        return result | {
            "start_s": first["at"] - started_at,
            "late_s": late["from_join_s"],
            "late_subscribed_s": late["from_subscription_s"],
        }


def _measured(
    watcher: processes.Subscriber, pid: int, look: Callable[[int], None] | None
) -> tuple[dict[str, Any], dict[str, float]]:
    watcher.tell(do="begin")
    watcher.expect("begun", within_s=_ANSWER_S)
    idle = IdleMeter()
    cpu_before, began_at = accounts.cpu_s(pid), time.monotonic()
    if look is not None:
        look(pid)
    time.sleep(max(0.0, began_at + FRAMES / FPS - time.monotonic()))
    if look is not None:
        look(pid)
    cpu_s, lasted_s = accounts.cpu_s(pid) - cpu_before, time.monotonic() - began_at
    idle_percent, pss = idle.percent(), accounts.pss_bytes(pid)
    watcher.tell(do="end")
    measured = watcher.expect("ended", within_s=_ANSWER_S)
    return measured, {
        "cpu_s_per_1000": cpu_s / (lasted_s * FPS) * 1000,
        "pss_mb": pss / 1e6,
        "idle_percent": idle_percent,
    }


def _of_pictures(stage: Stage, measured: dict[str, Any]) -> dict[str, float]:
    """Return the figures from the pictures and the sound of the measured time."""
    pictures: list[tuple[int, int, int, int]] = [tuple(each) for each in measured["pictures"]]
    began_us, ended_us = measured["began_us"], measured["ended_us"]
    seen = [each for each in pictures if began_us <= each[1] < ended_us]
    if stage.times.exists():
        lines = (line.split() for line in stage.times.read_text().splitlines())
        sent = [(int(number), int(at)) for number, at in lines]
        latencies = figures.latencies_ms(sent, ((number, at) for number, at, _, _ in seen))
    else:
        latencies = [(at - captured) / 1000 for _, at, captured, _ in seen if captured]
    flashes = figures.flashes(((number, at) for number, at, _, _ in seen), every=FPS)
    with np.load(stage.folder / "sound.npz") as sound:
        blocks = zip(sound["at"].tolist(), sound["samples"], strict=True)
        beeps = figures.onsets(blocks, rate=48_000, level=_BEEP_LEVEL, quiet_s=_QUIET_S)
    skews = figures.skews_ms(flashes, beeps)
    lasted_s = (ended_us - began_us) / 1e6
    return {
        "frames_per_s": len(seen) / lasted_s,
        "height": min((height for *_, height in seen), default=0),
        "bitrate_kbps": measured["bytes"] * 8 / lasted_s / 1000,
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


def _of_log(log: Path) -> dict[str, float]:
    """Return how soon after the last request this daemon sent a key frame, according to its log."""
    found = math.nan
    for line in log.read_text(errors="replace").splitlines():
        _, brace, text = line.partition("{")
        if brace and '"camera.key_frame"' in text:
            found = float(json.loads(brace + text)["after_s"])
    return {"key_frame_s": found}
