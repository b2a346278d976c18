"""The effect of a failing worker on viewers: the time without its medium, the slate, and the other medium."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.faults.figures import NEVER, Figures, longest_gap

if TYPE_CHECKING:
    from tests.faults.device import Device, Mark
    from tests.faults.rogue import Fault, Rogue
    from tests.faults.viewer import Viewer

CAMERA, MICROPHONE = "camera", "microphone"
OTHER = {CAMERA: MICROPHONE, MICROPHONE: CAMERA}
GAP_S = 0.2  # the maximum gap of the other medium
_AWAY_S = 0.15  # a gap of this length in the sound counts as silence; a block has 20 ms
_ECHO_S = 0.3  # media that was on its way when a worker died
_ONSET_S = 0.05  # a block that is half silence does not count as tone
_STEADY_S, _READY_S = 1.0, 30.0
_WAIT_S = 20.0
_AFTERWARDS_S = 0.3
_TOLD_S, _ATTRIBUTES_S = 1.0, 8.0
_POLL_S = 0.05
_MANY_BLOCKS = 500


@dataclass(slots=True)
class Casualties:
    """The results of some faults: seconds until slate and medium, gaps of the other medium, and logged states."""

    slate: Figures = field(default_factory=Figures)  # only if the picture was not back before
    live: Figures = field(default_factory=Figures)
    other_gap: Figures = field(default_factory=Figures)
    events: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    noise: int = 0
    told_late_s: float = 0.0  # from the medium to the attribute that reports it
    late_slates: int = 0  # neither slate nor picture in time

    def events_text(self) -> str:
        parts = [f"{name} {count}" for name, count in self.events.most_common(3)]
        if self.told_late_s > _TOLD_S:
            parts.append(f"attribute live {self.told_late_s:.1f} s late")
        parts += [f"MISSING {name} {count}" for name, count in self.missing.items()]
        return "; ".join(parts)


async def ready(one: Device) -> None:
    """Wait until both media have arrived for a second. Raises AssertionError."""
    viewer = one.viewer

    def lacking() -> str:
        now = time.monotonic()
        if not one.full_rate(over_s=_STEADY_S):
            return f"{sum(each.at > now - _STEADY_S for each in viewer.pictures)} pictures in {_STEADY_S} s"
        if viewer.attributes().get("device.state") != "live":
            return f"attributes {viewer.attributes()}"
        gap_s = longest_gap(viewer.sound[-_MANY_BLOCKS:], now - _STEADY_S, now)
        return f"a gap of {gap_s:.2f} s in sound" if gap_s > GAP_S else ""

    fine = await viewer.until(lambda: not lacking(), within_s=_READY_S)
    assert fine, f"not live: {lacking()}; {viewer.events[-5:]} {one.daemon.text[-5:]}"


async def pid_of(one: Device, worker: str) -> int:
    """Return a worker's process id when it has one. Raises AssertionError."""
    give_up_at = time.monotonic() + _WAIT_S
    while True:
        try:
            return one.daemon.worker(worker)
        except (AssertionError, OSError):  # another process below the daemon ended during the search
            if time.monotonic() > give_up_at:
                raise
        await asyncio.sleep(_POLL_S)


async def strike(one: Device, inside: Rogue, worker: str, fault: Fault, into: Casualties) -> None:
    """Apply a fault to a live worker, and record the results."""
    await ready(one)
    inside.tell(one.daemon.pid, "forgive")
    pid, mark = await pid_of(one, worker), one.mark()
    at = time.monotonic()
    fault.strike(inside, pid)
    live_s = await again(one, worker, at)
    into.live.seconds.append(live_s)
    if worker == CAMERA:
        slate_s = slate_after(one.viewer, at)
        if slate_s < live_s:
            into.slate.seconds.append(slate_s)
        into.late_slates += min(slate_s, live_s) > fault.within_s
    elif live_s < NEVER:
        into.noise += noise(one.viewer, at)
    await one.viewer.until(lambda: time.monotonic() > at + live_s + _AFTERWARDS_S, within_s=_AFTERWARDS_S)
    other = one.viewer.sound if worker == CAMERA else [each.at for each in one.viewer.pictures]
    into.other_gap.seconds.append(longest_gap(other, at, time.monotonic()))
    await hear(one, worker, at, mark, into)


async def again(one: Device, worker: str, at: float, *, within_s: float = _WAIT_S) -> float:
    """Wait for a worker's medium; return the seconds since the fault."""
    look = picture_again if worker == CAMERA else sound_again
    await one.viewer.until(lambda: look(one.viewer, at) < NEVER, within_s=within_s)
    return look(one.viewer, at)


def picture_again(viewer: Viewer, at: float) -> float:
    """Return the seconds from a time to the first picture of a worker that was started after it."""
    first = max(0, bisect_right(viewer.pictures, at, key=lambda each: each.at) - 1)
    while first and viewer.pictures[first].number is None:
        first -= 1
    for earlier, later in pairwise(each for each in viewer.pictures[first:] if each.number is not None):
        assert earlier.number is not None
        assert later.number is not None
        if later.number < earlier.number and later.at > at:
            return later.at - at
    return NEVER


def slate_after(viewer: Viewer, at: float) -> float:
    first = bisect_right(viewer.pictures, at, key=lambda each: each.at)
    return next((each.at - at for each in viewer.pictures[first:] if each.number is None), NEVER)


def sound_again(viewer: Viewer, at: float) -> float:
    """Return the seconds from a time to the first tone after a gap."""
    return _silence(viewer, at)[1] - at


def noise(viewer: Viewer, at: float) -> int:
    """Count the blocks with sound between the tone's last block and its return."""
    began, ended = _silence(viewer, at)
    return sum(began + _ECHO_S < each < ended - _ONSET_S for each in viewer.noise)


def _silence(viewer: Viewer, at: float) -> tuple[float, float]:
    """Return when the tone was last heard, at or just before a time, and when it returned."""
    first = max(0, bisect_right(viewer.sound, at) - 1)
    other = set(viewer.noise[bisect_right(viewer.noise, at) :])
    for earlier, later in pairwise(each for each in viewer.sound[first:] if each not in other):
        if later - earlier > _AWAY_S and later > at:
            return earlier, later
    return NEVER, NEVER


async def hear(one: Device, worker: str, at: float, mark: Mark, into: Casualties, *, alone: bool = True) -> None:
    """Record the daemon's reports: in its log, and the attribute live → stalled: reason → live."""
    if not one.since(mark, "worker.state", worker=worker, old="live"):
        into.missing["worker.state"] += 1
    name = f"device.{worker}"
    began = time.monotonic()
    if not await one.viewer.until(lambda: _story(one.viewer, name, at)[-1:] == ["live"], within_s=_ATTRIBUTES_S):
        into.missing[f"{name} live"] += 1
    into.told_late_s = max(into.told_late_s, time.monotonic() - began)
    reasons = [text for text in _story(one.viewer, name, at) if text.startswith(("stalled: ", "absent: "))]
    into.events.update(reasons[-1:])
    if not reasons:
        into.missing[f"{name} stalled with a reason"] += 1
    other = f"device.{OTHER[worker]}"
    if alone and any(text != "live" for text in _story(one.viewer, other, at)):
        into.missing[f"{other} live throughout"] += 1


def _story(viewer: Viewer, name: str, since: float) -> list[str]:
    return [attributes[name] for at, attributes in viewer.attributes_seen if at > since and name in attributes]
