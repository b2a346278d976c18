"""Slow links in turn: what a device sends over them, and what a viewer receives."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import os
import time
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.device import device
from tests.faults.figures import NEVER, Figures, as_text, longest_gap
from tests.faults.recovery import first_picture
from tests.faults.uplink import metered
from tests.faults.viewer import viewing
from tests.support.clips import clip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.device import Device
    from tests.faults.fleet import Fleet
    from tests.faults.ground import Ground
    from tests.faults.servers import Node
    from tests.faults.uplink import Uplink

_LINKS_KBPS = (300, 600, 1200, 2500, 300, 2500)
_EACH_S, _SETTLED_S = 26.0, 10.0
_RELEASED_S = 40.0  # the last link: after losses the SDK waits for up to 20 s until its estimate rises
_CEILING_BPS = 2_500_000
_LEAST_SHARE, _ABOVE_S, _LATENCY_S, _FREEZE_S, _BACK_S = 0.9, 2.0, 0.4, 1.0, 15.0
_OLD_RATE = 0.9
# On a link with a burst the SDK's estimate is too high for a second or two, and far too low after that
# (docs/rate-control.md): a bound that is missed for that reason is reported; above these limits it is a failure.
_BURST = "the SDK's estimate follows the policer's burst"
_WORST_SHARE, _WORST_LATENCY_S, _WORST_FREEZE_S = 0.6, 3.0, 8.0
_CALM_S = 5.0
_LATE, _LATE_S, _KEY_S, _KEYS_APART_S = 5, 20.0, 0.1, 0.5
_FILM = {
    "DEVICE_CAMERA__SOURCE": "file",
    "DEVICE_CAMERA__PATH": clip("bigbuckbunny.mp4"),
    "DEVICE_CAMERA__WIDTH": "1280",
    "DEVICE_CAMERA__HEIGHT": "720",
    "DEVICE_CAMERA__FPS": "30",
    "DEVICE_CAMERA__BITRATE_MAX_BPS": str(_CEILING_BPS),
    "DEVICE_LOG__LEVEL": "debug",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """A line of the daemon's log: the total sent so far; wall clock, s."""

    at: float
    lines: int
    sent_bps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The results of one link; times in seconds, `share` of the SDK's target up to the link, `used` of the link."""

    kbps: int
    share: float
    target_bps: float
    sent_bps: float
    used: float
    above_s: float
    latency: Figures
    freeze_s: float
    rungs: list[str]
    lines: list[int]

    def bearable(self) -> bool:
        return (
            self.share >= _WORST_SHARE and self.latency.p(95) <= _WORST_LATENCY_S and self.freeze_s <= _WORST_FREEZE_S
        )


class Record:
    """All records of a run, by time."""

    def __init__(self, one: Device, uplink: Uplink) -> None:
        self._uplink = uplink
        self._wall = time.time() - time.monotonic()
        self._pictures = list(one.viewer.pictures)
        self._targets = [(_time(line), float(line["target_bps"])) for line in one.since((0, 0), "camera.target")]
        self._seconds = [
            Second(at=_time(line), lines=line["height"], sent_bps=line["sent_bps"])
            for line in one.since((0, 0), "camera.sent")
        ]
        self._rungs = [
            (_time(line), f"{line['width']}x{line['height']} at {line['fps']}")
            for line in one.since((0, 0), "camera.rung")
        ]

    def stretch(self, kbps: int, began: float, ended: float) -> Stretch:
        settled = began + _SETTLED_S
        pictures = [each for each in self._pictures if settled <= each.at <= ended]
        seconds = [each for each in self._seconds if settled + self._wall + 1 <= each.at <= ended + self._wall]
        sent = sum(each.sent_bps for each in seconds) / max(1, len(seconds))
        # A target above the link leads to a rate above the link, so no more than the link is required.
        targets = [min(kbps * 1000, self._target(each.at - 1, each.at)) for each in seconds]
        target = sum(targets) / max(1, len(targets))
        return Stretch(
            kbps=kbps,
            share=sent / max(1.0, target),
            target_bps=target,
            sent_bps=sent,
            used=self._uplink.passed_bps(settled, ended) / (kbps * 1000),
            above_s=self._uplink.longest_above_s(kbps * 1000, settled, ended),
            latency=Figures([each.at + self._wall - each.captured_at_us / 1e6 for each in pictures]),
            freeze_s=longest_gap([each.at for each in self._pictures], settled, ended),
            rungs=[rung for at, rung in self._rungs if began <= at - self._wall <= ended],
            lines=sorted({each.lines for each in pictures}),
        )

    def back_s(self, old: Stretch, moment: float) -> float:
        """Return the seconds from a time until the rate and the size are the same as before."""
        lines = max(old.lines, default=0)
        for each in self._seconds:
            if each.at - self._wall > moment and each.lines >= lines and each.sent_bps >= _OLD_RATE * old.sent_bps:
                return each.at - self._wall - moment
        return NEVER

    def keep(self, path: Path) -> None:
        """Write the targets for tests/unit/data."""
        with path.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("seconds", "target_bps"))
            writer.writerows((f"{at - self._targets[0][0]:.2f}", int(target)) for at, target in self._targets)

    def _target(self, begin: float, end: float) -> float:
        """Return the mean of the target, up to the configured maximum."""
        first = max(0, bisect_right(self._targets, begin, key=lambda each: each[0]) - 1)
        last = bisect_left(self._targets, end, key=lambda each: each[0])
        steps = self._targets[first:last] or self._targets[:1]
        edges = [begin, *(at for at, _ in steps[1:]), end]
        parts = zip(steps, pairwise(edges), strict=True)
        return sum(min(target, _CEILING_BPS) * (until - since) for (_, target), (since, until) in parts) / (end - begin)


def _time(line: dict[str, str]) -> float:
    return datetime.fromisoformat(line["time"]).timestamp()


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """Viewers that join at the same time: seconds to their first pictures, and from requests to key frames."""

    first: Figures
    answered: Figures
    apart_s: float

    def holds(self) -> bool:
        # One unit's time of tolerance: requests are spaced exactly, units wait for their picture.
        return self.answered.seconds[0] <= _KEY_S and self.apart_s >= _KEYS_APART_S - 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    stretches: list[Stretch]
    back_s: float
    late: Late


async def _late_viewers(one: Device, server: Node) -> Late:
    mark, began = one.mark(), time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        viewers = [
            await stack.enter_async_context(viewing([server], one.room, name=f"late-{number}"))
            for number in range(_LATE)
        ]
        await asyncio.gather(*(each.until(partial(bool, each.pictures), within_s=_LATE_S) for each in viewers))
        first = [each.pictures[0].at - began if each.pictures else NEVER for each in viewers]
    keys = one.since(mark, "camera.key_frame")
    moments = [_time(line) for line in keys]
    return Late(
        first=Figures(first),
        answered=Figures([float(line["after_s"]) for line in keys]),
        apart_s=min((later - sooner for sooner, later in pairwise(moments)), default=NEVER),
    )


@pytest.fixture(scope="module")
def run(ground: Ground, fleets: list[Fleet], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run one device over all the links in turn, and no other at this time."""
    for each in fleets:
        each.pause()

    async def scenario() -> Run:
        folder = tmp_path_factory.mktemp("rate")
        moments: list[float] = []
        async with contextlib.AsyncExitStack() as stack:
            uplink = await stack.enter_async_context(metered(ground.network))
            one = await stack.enter_async_context(device(ground.network, [ground.server], folder, **_FILM))
            ground.network.police(_LINKS_KBPS[0])
            one.start()
            await first_picture(one)
            for kbps in _LINKS_KBPS:
                moments.append(time.monotonic())
                ground.network.police(kbps)
                await asyncio.sleep(_EACH_S if len(moments) < len(_LINKS_KBPS) else _RELEASED_S)
            moments.append(time.monotonic())
            ground.network.mend()
            # While the estimate changes, our own key frames come in between, and 0.5 s follow each.
            await asyncio.sleep(_CALM_S)
            late = await _late_viewers(one, ground.server)
            if not late.holds():
                await asyncio.sleep(_CALM_S)
                late = await _late_viewers(one, ground.server)
            record = Record(one, uplink)
            if kept := os.environ.get("RATE_TRACES"):
                record.keep(Path(kept) / f"{'-'.join(map(str, _LINKS_KBPS))}.csv")
                (Path(kept) / "log.txt").write_text("\n".join(one.daemon.text))
        spans = pairwise(moments)
        found = [record.stretch(kbps, *span) for kbps, span in zip(_LINKS_KBPS, spans, strict=True)]
        return Run(stretches=found, back_s=record.back_s(found[-3], moments[-2]), late=late)

    return ground.run(scenario())


def _rungs(names: Sequence[str]) -> str:
    return "; ".join(names) or "no change"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", range(len(_LINKS_KBPS)))
def test_thin_link(ground: Ground, run: Run, number: int) -> None:
    found = run.stretches[number]
    before = f", after {_LINKS_KBPS[number - 1]}" if number else ", from the start"
    back_s = run.back_s if number == len(_LINKS_KBPS) - 1 else 0.0
    idle = ground.meter.percent()
    ground.table.record(
        f"uplink of {found.kbps} kbit/s{before}",
        {
            "times": 1,
            "video again": as_text(back_s) if back_s else "",
            "longest gap": as_text(found.freeze_s),
            "idle": f"{idle:.0f} %",
            "events seen": f"target {found.target_bps / 1000:.0f}, sent {found.sent_bps / 1000:.0f} kbit/s "
            f"({found.share:.2f}); {found.used:.0%} of the link, above it for {found.above_s:.1f} s at most; "
            f"latency {found.latency}; lines {found.lines}; {_rungs(found.rungs)}",
        },
        must="after 10 s: sent >= 0.9 of the target, above the link <= 2 s; latency p95 <= 0.4 s; freeze <= 1 s"
        + ("; back at the old rate <= 15 s" if back_s else ""),
        ok=found.share >= _LEAST_SHARE
        and found.above_s <= _ABOVE_S
        and found.latency.p(95) <= _LATENCY_S
        and found.freeze_s <= _FREEZE_S
        and back_s <= _BACK_S,
        excuse=_BURST * found.bearable() * (back_s < NEVER),
    )


@pytest.mark.timeout(300)
def test_five_viewers_who_come_at_the_same_time(ground: Ground, run: Run) -> None:
    late = run.late
    ground.table.record(
        f"{_LATE} viewers come at the same time (looked at once more if a key frame went out just before)",
        {
            "times": _LATE,
            "video again": late.first,
            "idle": f"{ground.meter.percent():.0f} %",
            "events seen": f"from request to key frame {late.answered} ({len(late.answered.seconds)} of them); "
            f"{as_text(late.apart_s)} apart at least",
        },
        must="the first key frame <= 0.1 s after its request; 0.5 s between them",
        ok=late.holds(),
    )
