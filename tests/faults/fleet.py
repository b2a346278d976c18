"""Several devices in rooms of their own with the same fault, so that one fault gives a figure for each device."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.faults.device import Device, device
from tests.faults.figures import NEVER, Figures, longest_gap

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from tests.faults.device import Mark
    from tests.faults.moments import Moment
    from tests.faults.network import Network
    from tests.support.livekit_server import Server

COUNT = 4
_READY_S, _STEADY_S = 40.0, 2.0
_STAGGER_S = 0.5
_SETTLED_S = 1.0
_POLL_S = 0.1
_ATTRIBUTES_S = 3.0
_MANY = 6


@dataclass(slots=True)
class Measured:
    """The results of a row: seconds until video and audio returned, gaps, and log events of the daemons."""

    video: Figures = field(default_factory=Figures)
    audio: Figures = field(default_factory=Figures)
    video_gap: Figures = field(default_factory=Figures)
    audio_gap: Figures = field(default_factory=Figures)
    later_gap: Figures = field(default_factory=Figures)  # of video, after it had returned for a second
    events: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    rooms: set[str] = field(default_factory=set)

    def add(self, other: Measured) -> None:
        for name in ("video", "audio", "video_gap", "audio_gap", "later_gap"):
            getattr(self, name).seconds.extend(getattr(other, name).seconds)
        self.events += other.events
        self.missing += other.missing
        self.rooms |= other.rooms

    def events_text(self) -> str:
        """Return the most frequent events, the missing expected ones, and a text of `device.room`."""
        parts = [f"{name} {count}" for name, count in self.events.most_common(_MANY)]
        parts += [f"MISSING {name} {count}" for name, count in self.missing.items()]
        return "; ".join([*parts, *(f"device.room: {text!r}" for text in sorted(self.rooms, key=len)[-1:])])


@dataclass(slots=True)
class Fleet:
    devices: list[Device]
    again: int = 0  # daemons that were restarted to get ready for a row

    async def start(self) -> None:
        for each in self.devices:
            each.start()
            await asyncio.sleep(_STAGGER_S)  # they share two cores
        await self.ready()

    def pause(self) -> None:
        """End the daemons; `ready` starts them again."""
        for each in self.devices:
            each.end()

    async def ready(self, *, since: float = 0.0) -> None:
        """Wait until all have published steadily, since a monotonic time if one is given.

        A device that does not recover was recorded by its own row; it is restarted here.
        """
        for each in self.devices:
            if not each.alive and each.daemon.process.returncode == 0:
                each.start()
        for _ in range(2):
            waiting = [each for each in self.devices if not await _steady(each, since=since, within_s=_READY_S)]
            if not waiting:
                return
            for each in waiting:
                self.again += 1
                each.end()
                each.start()
        raise AssertionError(f"not ready: {[each.daemon.text[-3:] for each in waiting]}")

    async def run_fault(
        self,
        strike: Callable[[], Awaitable[Moment]],
        *,
        times: int,
        within_s: float,
        expects: Sequence[str] = (),
        watch_s: float = 0.0,
    ) -> Measured:
        """Apply a fault several times; `strike` returns the time at which it ended.

        `expects` are event names, with `|` between alternatives, which each daemon must log each time. Gaps are
        measured from the fault's beginning until `watch_s` after its end, or until all media are back.
        """
        measured = Measured()
        for _ in range(times):
            await self.ready()
            began, marks = time.monotonic(), [each.mark() for each in self.devices]
            moment = await strike()
            again = await asyncio.gather(*(_recovery(each, moment, within_s, measured) for each in self.devices))
            await asyncio.sleep(max(0.0, moment.at + watch_s - time.monotonic()))
            until = time.monotonic()
            for each, mark, seconds in zip(self.devices, marks, again, strict=True):
                pictures = [picture.at for picture in each.viewer.pictures]
                measured.video_gap.seconds.append(longest_gap(pictures, began, until))
                measured.audio_gap.seconds.append(longest_gap(each.viewer.sound, began, until))
                if watch_s and seconds < NEVER:
                    steady_at = moment.at + seconds + _SETTLED_S
                    measured.later_gap.seconds.append(longest_gap(pictures, steady_at, max(until, steady_at)))
                await _hear(each, mark, expects, measured)
        return measured

    @property
    def joined_after(self) -> Figures:
        return Figures([share for each in self.devices for share in each.viewer.joined_after_s])


async def _steady(each: Device, *, since: float, within_s: float) -> bool:
    give_up_at = time.monotonic() + within_s
    while not (time.monotonic() - since > _STEADY_S and each.alive and each.full_rate(over_s=_STEADY_S)):
        if time.monotonic() > give_up_at:
            return False
        await asyncio.sleep(_POLL_S)
    return True


async def _recovery(each: Device, moment: Moment, within_s: float, measured: Measured) -> float:
    """Record when video and audio return; return the seconds for video."""
    viewer = each.viewer
    await viewer.until(
        lambda: viewer.video_again_s(moment) < NEVER and viewer.audio_again_s(moment.at) < NEVER, within_s=within_s
    )
    video_s = viewer.video_again_s(moment)
    measured.video.seconds.append(video_s)
    measured.audio.seconds.append(viewer.audio_again_s(moment.at))
    return video_s


async def _hear(each: Device, mark: Mark, expects: Sequence[str], measured: Measured) -> None:
    """Record a daemon's log events, and wait for the events that it must log."""
    events = each.events(mark)
    measured.events += events
    for line in each.since(mark, "daemon.unhandled"):
        measured.missing[f"silence, not {line['message']!r}"] += 1
    for names in expects:
        if not any(events[name] for name in names.split("|")):
            measured.missing[names] += 1
    if await each.viewer.until(lambda: each.viewer.attributes().get("device.state") == "live", within_s=_ATTRIBUTES_S):
        text = each.viewer.attributes().get("device.room", "")
        measured.rooms.add(text)
        if expects and not text:
            measured.missing["attribute device.room"] += 1
    else:
        measured.missing["attribute device.state live"] += 1


@asynccontextmanager
async def fleet(
    network: Network, servers: Sequence[Server], folder: Path, *, count: int = COUNT, **variables: str
) -> AsyncIterator[Fleet]:
    """Create devices in rooms of their own; `start` starts them."""
    async with AsyncExitStack() as stack:
        yield Fleet(
            [await stack.enter_async_context(device(network, servers, folder, **variables)) for _ in range(count)]
        )
